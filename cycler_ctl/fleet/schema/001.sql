-- Version 1. One row of a run file is one row of sample; (site, station, run, epoch, seq) denotes it for ever.
-- sample is partitioned by the month in which the run began. That month follows from the run's id, so it can stand in
-- the primary key without weakening it (a row's own time could not: the same row with another time would be a second
-- row), a run lies in one partition as a whole, and old runs go by dropping a table.

CREATE TABLE series (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site text NOT NULL,
    station text NOT NULL,
    channel text NOT NULL,
    run text NOT NULL,
    epoch bigint NOT NULL,
    began date NOT NULL,
    UNIQUE (site, station, run, epoch)
);
COMMENT ON TABLE series IS 'An epoch of a run: each program that goes on with a run begins one.';
COMMENT ON COLUMN series.began IS 'First day of the month in which the run began, by its id.';

CREATE TABLE progress (
    series bigint PRIMARY KEY REFERENCES series,
    held int8multirange NOT NULL,
    heard_at timestamptz NOT NULL
) WITH (fillfactor = 50);
COMMENT ON COLUMN progress.held IS 'The numbers of the rows in sample, kept in the transaction that writes them.';

CREATE TABLE sample (
    series bigint NOT NULL,
    began date NOT NULL,
    seq bigint NOT NULL,
    test_time_second double precision,
    voltage_volt double precision,
    current_ampere double precision,
    unix_time_second double precision,
    cycle_count bigint,
    step_count bigint,
    ambient_temperature_celsius double precision,
    step_type text,
    step_id text,
    step_time_second double precision,
    record_index bigint,
    charging_capacity_ah double precision,
    discharging_capacity_ah double precision,
    charging_energy_wh double precision,
    discharging_energy_wh double precision,
    cycle_charging_capacity_ah double precision,
    cycle_discharging_capacity_ah double precision,
    cycle_charging_energy_wh double precision,
    cycle_discharging_energy_wh double precision,
    step_charging_capacity_ah double precision,
    step_discharging_capacity_ah double precision,
    step_charging_energy_wh double precision,
    step_discharging_energy_wh double precision,
    raw text,
    PRIMARY KEY (series, seq, began)
) PARTITION BY RANGE (began);
COMMENT ON COLUMN sample.raw IS 'Null: the columns from test_time_second to step_discharging_energy_wh, in this order, are the row. Else the row''s JSON, because they cannot hold it exactly.';

CREATE TABLE layout (
    series bigint NOT NULL REFERENCES series,
    columns text[] NOT NULL,
    PRIMARY KEY (series, columns)
);
COMMENT ON TABLE layout IS 'Of series whose rows are in sample.raw because they came with other columns: which. A series has one.';

CREATE TABLE event (
    series bigint NOT NULL REFERENCES series,
    key text NOT NULL,
    kind text NOT NULL,
    unix_time_second double precision,
    payload text NOT NULL,
    PRIMARY KEY (series, key)
);
COMMENT ON COLUMN event.key IS 'The event''s number in its run; where it has none, the SHA-256 of its message.';

CREATE TABLE summary (
    series bigint NOT NULL REFERENCES series,
    cycle bigint NOT NULL,
    payload text NOT NULL,
    PRIMARY KEY (series, cycle)
);

CREATE TABLE manifest (
    series bigint NOT NULL REFERENCES series,
    first_seq bigint NOT NULL,
    last_seq bigint NOT NULL,
    sha256 text NOT NULL,
    final boolean NOT NULL,
    stretches jsonb NOT NULL,
    heard_at timestamptz NOT NULL,
    verdict text NOT NULL DEFAULT 'open' CHECK (verdict IN ('open', 'complete', 'differs')),
    checked_at timestamptz,
    PRIMARY KEY (series, first_seq, last_seq, sha256, final)
);
COMMENT ON COLUMN manifest.stretches IS '[{epoch, first, last}]: which rows are of which epoch; what is here beyond, a disk took back.';
COMMENT ON COLUMN manifest.verdict IS 'open: rows are missing. complete: all are here and their hash is the station''s. differs: all are here, the hash is another.';

CREATE TABLE state (
    site text NOT NULL,
    station text NOT NULL,
    topic text NOT NULL,
    payload text NOT NULL,
    heard_at timestamptz NOT NULL,
    PRIMARY KEY (site, station, topic)
) WITH (fillfactor = 70);
COMMENT ON TABLE state IS 'The newest of each retained state: status, meta, channel/x/state, instrument/x/status, alarm/x (empty: over).';

CREATE TABLE alarm (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    series bigint NOT NULL REFERENCES series,
    kind text NOT NULL,
    place text NOT NULL,
    refused text NOT NULL,
    noticed_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (series, kind, place, refused)
);
COMMENT ON TABLE alarm IS 'Messages that say something else than what is here already; they were refused, nothing was overwritten.';

CREATE TABLE dead_letter (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic text NOT NULL,
    reason text NOT NULL,
    payload bytea NOT NULL,
    bytes bigint NOT NULL,
    sha256 text NOT NULL,
    heard_at timestamptz NOT NULL,
    times bigint NOT NULL DEFAULT 1,
    UNIQUE (topic, sha256)
);
COMMENT ON TABLE dead_letter IS 'Messages that could not be read; of a long one the beginning.';

CREATE VIEW run AS
SELECT s.site, s.station, s.run, min(s.channel) AS channel,
       coalesce((SELECT sum(upper(r) - lower(r)) FROM unnest(range_agg(p.held)) AS r), 0) AS rows,
       max(p.heard_at) AS heard_at,
       greatest(max(upper(p.held)) - 1, max(newest.last_seq)) AS last_seq,
       CASE WHEN bool_or(newest.final) OR bool_or(newest.verdict = 'differs') THEN max(newest.verdict) END AS verdict
  FROM series s
  LEFT JOIN progress p ON p.series = s.id
  LEFT JOIN LATERAL (
       SELECT m.last_seq, m.verdict, m.final FROM manifest m JOIN series o ON o.id = m.series
        WHERE (o.site, o.station, o.run) = (s.site, s.station, s.run)
        ORDER BY m.final DESC, m.last_seq DESC, m.heard_at DESC LIMIT 1) AS newest ON true
 GROUP BY s.site, s.station, s.run;
COMMENT ON COLUMN run.verdict IS 'Of the manifest of the run''s end; null: it goes on, as far as is known here.';

CREATE VIEW gap AS
SELECT s.site, s.station, s.run, s.epoch, lower(missing) AS from_seq, upper(missing) - 1 AS to_seq
  FROM series s JOIN progress p ON p.series = s.id AND NOT isempty(p.held)
  CROSS JOIN LATERAL (
       SELECT CASE WHEN count(*) = 1 THEN 1 ELSE lower(p.held) END AS begin FROM series o
        WHERE (o.site, o.station, o.run) = (s.site, s.station, s.run)) AS known
  CROSS JOIN LATERAL unnest(int8multirange(int8range(known.begin, upper(p.held))) - p.held) AS missing
 WHERE NOT EXISTS (
       SELECT FROM manifest m JOIN series o ON o.id = m.series
        WHERE (o.site, o.station, o.run) = (s.site, s.station, s.run) AND m.final AND m.verdict = 'complete')
UNION
SELECT s.site, s.station, s.run, part.epoch, lower(missing), upper(missing) - 1
  FROM manifest m JOIN series s ON s.id = m.series
  CROSS JOIN LATERAL jsonb_to_recordset(m.stretches) AS part (epoch bigint, first bigint, last bigint)
  LEFT JOIN series o ON (o.site, o.station, o.run, o.epoch) = (s.site, s.station, s.run, part.epoch)
  LEFT JOIN progress p ON p.series = o.id
  CROSS JOIN LATERAL unnest(
       int8multirange(int8range(part.first, part.last + 1)) - coalesce(p.held, '{}')) AS missing
 WHERE m.verdict = 'open';
COMMENT ON VIEW gap IS 'Holes in what came of an epoch, and what manifests tell of beside.';
