#!/bin/sh
# A certificate authority for one lab, with openssl 3: certificates of brokers, stations, people and programs.
#   lab-ca.sh ca                                    once: ca.pem (give it to everybody), ca.key (keep it off the network)
#   lab-ca.sh server broker DNS:broker.lab          a broker: every name and address it is reached by, with commas between
#   lab-ca.sh node nats-1 DNS:nats-1.lab            one server of a cluster, which also speaks to the others
#   lab-ca.sh client lab-3                          a station, a person or a program; the name is its user name
# Files are made in the present folder, keys with mode 0600. DAYS is how long a certificate holds; 398 unless set.
set -eu
umask 077
DAYS=${DAYS:-398}
KEY="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"

sign() {  # NAME SUBJECT EXTENSION USE
    openssl req -new $KEY -subj "/CN=$2" -addext "$3" -addext "extendedKeyUsage=$4" -keyout "$1.key" -out "$1.csr"
    openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -set_serial "0x$(openssl rand -hex 16)" \
        -copy_extensions copy -days "$DAYS" -out "$1.pem"
    rm "$1.csr"
    chmod 644 "$1.pem"
}

case "${1:-}" in
ca)
    [ ! -e ca.key ] || { echo "there is a ca.key here already" >&2; exit 1; }
    openssl req -x509 $KEY -days 3650 -subj "/CN=${2:-lab CA}" -addext "keyUsage=critical,keyCertSign,cRLSign" \
        -keyout ca.key -out ca.pem
    chmod 644 ca.pem
    ;;
server)
    sign "$2" "$2" "subjectAltName=$3" serverAuth
    ;;
node)
    sign "$2" "$2" "subjectAltName=$3" serverAuth,clientAuth
    ;;
client)
    sign "$2" "$2" "basicConstraints=CA:FALSE" clientAuth
    ;;
*)
    sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
