-- Samples at less than half the size: what a whole step has in common stands once, in a context, and what can be
-- computed to the last bit is not stored. The view "samples" has the columns of schema 1 and gives the same numbers.
-- A file of schema 1 is never changed: its run goes on in a new segment.

DROP TABLE samples;

-- One stretch of rows of one step. The step_* counters are those that stand still while the others pass current.
CREATE TABLE contexts (
    id                 INTEGER PRIMARY KEY,
    cycle              INTEGER NOT NULL CHECK (cycle >= 0),
    step_count         INTEGER NOT NULL,
    step_id            TEXT NOT NULL,
    mode               TEXT NOT NULL CHECK (mode = 'rest' OR mode = 'cc' OR mode = 'cv'),
    direction          INTEGER NOT NULL CHECK (direction BETWEEN -1 AND 1),
    utc_offset_s       REAL NOT NULL CHECK (utc_offset_s BETWEEN -1e12 AND 1e12),
    step_began_s       REAL NOT NULL CHECK (step_began_s BETWEEN -1e12 AND 1e12),
    run_oxidation_Ah   REAL NOT NULL CHECK (run_oxidation_Ah BETWEEN 0 AND 1e9),
    run_reduction_Ah   REAL NOT NULL CHECK (run_reduction_Ah BETWEEN 0 AND 1e9),
    run_oxidation_Wh   REAL NOT NULL CHECK (run_oxidation_Wh BETWEEN 0 AND 1e9),
    run_reduction_Wh   REAL NOT NULL CHECK (run_reduction_Wh BETWEEN 0 AND 1e9),
    cycle_oxidation_Ah REAL NOT NULL CHECK (cycle_oxidation_Ah BETWEEN 0 AND 1e9),
    cycle_reduction_Ah REAL NOT NULL CHECK (cycle_reduction_Ah BETWEEN 0 AND 1e9),
    cycle_oxidation_Wh REAL NOT NULL CHECK (cycle_oxidation_Wh BETWEEN 0 AND 1e9),
    cycle_reduction_Wh REAL NOT NULL CHECK (cycle_reduction_Wh BETWEEN 0 AND 1e9),
    step_oxidation_Ah  REAL NOT NULL CHECK (step_oxidation_Ah BETWEEN 0 AND 1e9),
    step_reduction_Ah  REAL NOT NULL CHECK (step_reduction_Ah BETWEEN 0 AND 1e9),
    step_oxidation_Wh  REAL NOT NULL CHECK (step_oxidation_Wh BETWEEN 0 AND 1e9),
    step_reduction_Wh  REAL NOT NULL CHECK (step_reduction_Wh BETWEEN 0 AND 1e9)
);

-- The bounds refuse an infinity, NOT NULL a NaN (which SQLite stores as NULL); the codec sees to the columns that may
-- be NULL. utc is a whole number of 2^-22 s (a double's step in this century) to be added to time_s + utc_offset_s, or,
-- as a real number, the time itself. NULL: step_time_s = time_s - step_began_s; a counter as in the context.
CREATE TABLE compact (
    seq              INTEGER PRIMARY KEY CHECK (seq >= 1),
    context          INTEGER NOT NULL,
    time_s           REAL NOT NULL CHECK (time_s BETWEEN 0 AND 1e12),
    utc              NOT NULL,
    voltage_V        REAL NOT NULL CHECK (voltage_V BETWEEN -1e6 AND 1e6),
    current_A        REAL NOT NULL CHECK (current_A BETWEEN -1e6 AND 1e6),
    temperature_degC REAL CHECK (temperature_degC BETWEEN -274 AND 1e5),
    mark             TEXT,
    step_time_s      REAL CHECK (step_time_s BETWEEN 0 AND 1e12),
    oxidation_Ah     REAL CHECK (oxidation_Ah BETWEEN 0 AND 1e9),
    reduction_Ah     REAL CHECK (reduction_Ah BETWEEN 0 AND 1e9),
    oxidation_Wh     REAL CHECK (oxidation_Wh BETWEEN 0 AND 1e9),
    reduction_Wh     REAL CHECK (reduction_Wh BETWEEN 0 AND 1e9)
);

-- The totals of a row that are not the context's plus the step's, bit for bit.
CREATE TABLE totals (
    seq                INTEGER PRIMARY KEY CHECK (seq >= 1),
    run_oxidation_Ah   REAL NOT NULL CHECK (run_oxidation_Ah BETWEEN 0 AND 1e9),
    run_reduction_Ah   REAL NOT NULL CHECK (run_reduction_Ah BETWEEN 0 AND 1e9),
    run_oxidation_Wh   REAL NOT NULL CHECK (run_oxidation_Wh BETWEEN 0 AND 1e9),
    run_reduction_Wh   REAL NOT NULL CHECK (run_reduction_Wh BETWEEN 0 AND 1e9),
    cycle_oxidation_Ah REAL NOT NULL CHECK (cycle_oxidation_Ah BETWEEN 0 AND 1e9),
    cycle_reduction_Ah REAL NOT NULL CHECK (cycle_reduction_Ah BETWEEN 0 AND 1e9),
    cycle_oxidation_Wh REAL NOT NULL CHECK (cycle_oxidation_Wh BETWEEN 0 AND 1e9),
    cycle_reduction_Wh REAL NOT NULL CHECK (cycle_reduction_Wh BETWEEN 0 AND 1e9)
);

CREATE VIEW samples AS SELECT
    (SELECT epoch FROM run) AS epoch,
    r.seq AS seq,
    r.time_s AS time_s,
    CASE typeof(r.utc) WHEN 'integer' THEN r.time_s + c.utc_offset_s + r.utc / 4194304.0 ELSE r.utc END AS utc_s,
    r.voltage_V AS voltage_V,
    r.current_A AS current_A,
    r.temperature_degC AS temperature_degC,
    c.cycle AS cycle,
    c.step_count AS step_count,
    c.step_id AS step_id,
    c.mode AS mode,
    c.direction AS direction,
    coalesce(r.step_time_s, r.time_s - c.step_began_s) AS step_time_s,
    coalesce(r.mark, '') AS mark,
    coalesce(t.run_oxidation_Ah, c.run_oxidation_Ah + coalesce(r.oxidation_Ah, c.step_oxidation_Ah)) AS run_oxidation_Ah,
    coalesce(t.run_reduction_Ah, c.run_reduction_Ah + coalesce(r.reduction_Ah, c.step_reduction_Ah)) AS run_reduction_Ah,
    coalesce(t.run_oxidation_Wh, c.run_oxidation_Wh + coalesce(r.oxidation_Wh, c.step_oxidation_Wh)) AS run_oxidation_Wh,
    coalesce(t.run_reduction_Wh, c.run_reduction_Wh + coalesce(r.reduction_Wh, c.step_reduction_Wh)) AS run_reduction_Wh,
    coalesce(t.cycle_oxidation_Ah, c.cycle_oxidation_Ah + coalesce(r.oxidation_Ah, c.step_oxidation_Ah)) AS cycle_oxidation_Ah,
    coalesce(t.cycle_reduction_Ah, c.cycle_reduction_Ah + coalesce(r.reduction_Ah, c.step_reduction_Ah)) AS cycle_reduction_Ah,
    coalesce(t.cycle_oxidation_Wh, c.cycle_oxidation_Wh + coalesce(r.oxidation_Wh, c.step_oxidation_Wh)) AS cycle_oxidation_Wh,
    coalesce(t.cycle_reduction_Wh, c.cycle_reduction_Wh + coalesce(r.reduction_Wh, c.step_reduction_Wh)) AS cycle_reduction_Wh,
    coalesce(r.oxidation_Ah, c.step_oxidation_Ah) AS step_oxidation_Ah,
    coalesce(r.reduction_Ah, c.step_reduction_Ah) AS step_reduction_Ah,
    coalesce(r.oxidation_Wh, c.step_oxidation_Wh) AS step_oxidation_Wh,
    coalesce(r.reduction_Wh, c.step_reduction_Wh) AS step_reduction_Wh
FROM compact r LEFT JOIN contexts c ON c.id = r.context LEFT JOIN totals t ON t.seq = r.seq;
