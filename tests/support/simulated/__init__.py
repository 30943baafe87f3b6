"""A whole station in virtual time, from one seed: everything real but time, wires, threads, disk faults and the broker."""
