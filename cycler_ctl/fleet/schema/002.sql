-- Version 2. What stations say there is: a historian that came late learns of runs of which it heard nothing.

CREATE TABLE told (
    site text NOT NULL,
    station text NOT NULL,
    run text NOT NULL,
    epoch bigint NOT NULL,
    rows bigint NOT NULL,
    ended boolean NOT NULL,
    heard_at timestamptz NOT NULL,
    PRIMARY KEY (site, station, run, epoch)
);
COMMENT ON TABLE told IS 'Up to which row a station had published each epoch of a run when it was last asked.';

CREATE VIEW untold AS
SELECT t.site, t.station, t.run, t.epoch, coalesce(upper(p.held), 1) AS from_seq, t.rows AS to_seq
  FROM told t
  LEFT JOIN series s ON (s.site, s.station, s.run, s.epoch) = (t.site, t.station, t.run, t.epoch)
  LEFT JOIN progress p ON p.series = s.id
 WHERE t.rows >= coalesce(upper(p.held), 1) AND NOT EXISTS (
       SELECT FROM manifest m JOIN series o ON o.id = m.series
        WHERE (o.site, o.station, o.run) = (t.site, t.station, t.run) AND m.final AND m.verdict = 'complete')
UNION ALL
SELECT * FROM (
    SELECT DISTINCT ON (t.site, t.station, t.run) t.site, t.station, t.run, t.epoch, t.rows + 1, t.rows + 2
      FROM told t WHERE t.ended AND NOT EXISTS (
           SELECT FROM manifest m JOIN series o ON o.id = m.series
            WHERE (o.site, o.station, o.run) = (t.site, t.station, t.run) AND m.final)
     ORDER BY t.site, t.station, t.run, t.rows DESC) AS unended
UNION ALL
SELECT s.site, s.station, s.run, s.epoch, m.last_seq + 1, m.last_seq + 2
  FROM manifest m JOIN series s ON s.id = m.series
 WHERE m.final AND m.heard_at > now() - interval '7 days' AND (
       SELECT max(e.key::bigint) > count(*) FROM event e JOIN series o ON o.id = e.series
        WHERE (o.site, o.station, o.run) = (s.site, s.station, s.run) AND e.key ~ '^[0-9]{1,18}$');
COMMENT ON VIEW untold IS 'Rows that a station published and that are not here; of ended runs whose manifest or some of whose events (numbered from 1) are not here, one beyond the last.';
