-- One run. Times in s, voltages in V, currents in A (+ oxidises the working electrode), charge in Ah, energy in Wh.
-- A file holds one segment of the run; the reader joins run.sqlite, run-2.sqlite, ... by the first_* numbers below.

CREATE TABLE run (
    one             INTEGER PRIMARY KEY CHECK (one = 1),
    run             TEXT NOT NULL,
    epoch           INTEGER NOT NULL,
    channel         TEXT NOT NULL,
    station         TEXT NOT NULL,
    site            TEXT NOT NULL,
    started_utc_s   REAL NOT NULL,
    protocol_name   TEXT NOT NULL,
    protocol_text   TEXT NOT NULL,
    protocol_sha256 TEXT NOT NULL,
    cell            TEXT NOT NULL CHECK (json_valid(cell)),
    plan            TEXT NOT NULL CHECK (json_valid(plan)),
    settings        TEXT NOT NULL CHECK (json_valid(settings)),
    instrument      TEXT NOT NULL CHECK (json_valid(instrument)),
    versions        TEXT NOT NULL CHECK (json_valid(versions)),
    discharge_means TEXT CHECK (discharge_means IN ('lithiate', 'delithiate')),
    sample_every_s  REAL NOT NULL CHECK (sample_every_s > 0),
    state           TEXT NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'ended', 'interrupted')),
    outcome         TEXT CHECK ((outcome IS NOT NULL) = (state = 'ended')),
    reason          TEXT NOT NULL DEFAULT '',
    ended_utc_s     REAL CHECK ((ended_utc_s IS NULL) = (state = 'running')),
    segment         INTEGER NOT NULL DEFAULT 1 CHECK (segment >= 1),
    first_seq       INTEGER NOT NULL DEFAULT 1,
    first_event     INTEGER NOT NULL DEFAULT 1,
    first_step      INTEGER NOT NULL DEFAULT 1,
    first_cycle     INTEGER NOT NULL DEFAULT 1
);

-- The bounds refuse what is not a number: an infinity fails them and SQLite stores a NaN as NULL. No IN: it costs 1 µs a row.
CREATE TABLE samples (
    epoch              INTEGER NOT NULL,
    seq                INTEGER NOT NULL CHECK (seq >= 1),
    time_s             REAL NOT NULL CHECK (time_s BETWEEN 0 AND 1e12),
    utc_s              REAL NOT NULL CHECK (utc_s BETWEEN 0 AND 1e12),
    voltage_V          REAL NOT NULL CHECK (voltage_V BETWEEN -1e6 AND 1e6),
    current_A          REAL NOT NULL CHECK (current_A BETWEEN -1e6 AND 1e6),
    temperature_degC   REAL CHECK (temperature_degC BETWEEN -274 AND 1e5),
    cycle              INTEGER NOT NULL CHECK (cycle >= 0),
    step_count         INTEGER NOT NULL,
    step_id            TEXT NOT NULL,
    mode               TEXT NOT NULL CHECK (mode = 'rest' OR mode = 'cc' OR mode = 'cv'),
    direction          INTEGER NOT NULL CHECK (direction BETWEEN -1 AND 1),
    step_time_s        REAL NOT NULL CHECK (step_time_s BETWEEN 0 AND 1e12),
    mark               TEXT NOT NULL,
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
    step_reduction_Wh  REAL NOT NULL CHECK (step_reduction_Wh BETWEEN 0 AND 1e9),
    PRIMARY KEY (epoch, seq)
) WITHOUT ROWID;

CREATE TABLE events (
    id     INTEGER PRIMARY KEY CHECK (id >= 1),
    time_s REAL NOT NULL CHECK (time_s BETWEEN 0 AND 1e12),
    utc_s  REAL NOT NULL CHECK (utc_s BETWEEN 0 AND 1e12),
    kind   TEXT NOT NULL,
    data   TEXT NOT NULL CHECK (json_valid(data))
);

CREATE TABLE steps (
    id                 INTEGER PRIMARY KEY CHECK (id >= 1),
    step_count         INTEGER NOT NULL,
    step_id            TEXT NOT NULL,
    word               TEXT NOT NULL,
    cycle              INTEGER NOT NULL,
    label              TEXT,
    started_s          REAL NOT NULL,
    ended_s            REAL NOT NULL,
    end_reason         TEXT NOT NULL,
    also_met           TEXT NOT NULL CHECK (json_valid(also_met)),
    charge_Ah          REAL NOT NULL,
    energy_Wh          REAL NOT NULL,
    start_voltage_V    REAL,
    end_voltage_V      REAL,
    crossing_s         REAL,
    crossing_charge_Ah REAL,
    overshoot_V        REAL
);

CREATE TABLE cycles (
    id               INTEGER PRIMARY KEY CHECK (id >= 1),
    cycle            INTEGER NOT NULL,
    lithiation_Ah    REAL NOT NULL,
    delithiation_Ah  REAL NOT NULL,
    lithiation_Wh    REAL NOT NULL,
    delithiation_Wh  REAL NOT NULL,
    started_s        REAL NOT NULL,
    ended_s          REAL NOT NULL
);

-- The engine's state as of the last row, event and summary of the same transaction.
CREATE TABLE checkpoint (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    last_seq INTEGER NOT NULL,
    utc_s    REAL NOT NULL CHECK (utc_s BETWEEN 0 AND 1e12),
    state    TEXT NOT NULL
);
