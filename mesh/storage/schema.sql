-- run.sqlite: the collector's memory of one run. Safe to read while the run goes on (WAL).
-- Everything is derived from the nodes' logs; each transaction takes in some log entries, so
-- that facts, watermarks and the collector's own log never disagree. Times in ms are since 1970;
-- t_s is seconds of the run, which go on where the previous start left off.

CREATE TABLE meta (                -- format_version, run_id, topic, stop_reason, state, ...
                                   -- peers, shown: JSON of what the page last showed of nodes, and
                                   -- of what no other table tells; every 10 s and at the end
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE items (               -- the accepted entries: line `ordinal` of output.txt
    ordinal INTEGER PRIMARY KEY,   -- 1, 2, 3, ...
    key     BLOB NOT NULL,         -- folded form: two entries with one key are the same
    text    TEXT NOT NULL,
    origin  BLOB NOT NULL,         -- which entry of which log found it first
    epoch   INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    call    INTEGER NOT NULL,      -- seq of that log's CallStarted
    model   TEXT NOT NULL,
    facet   INTEGER NOT NULL,      -- id in `facets` of the one that its call asked for; 0: none
    t_s     REAL NOT NULL
);
CREATE UNIQUE INDEX items_by_key ON items (key);

CREATE TABLE other_forms (         -- other names for entries: known, never written
    key     BLOB PRIMARY KEY,
    text    TEXT NOT NULL,
    ordinal INTEGER NOT NULL,      -- of the entry that stands for both; 0: one of `excluded`
    rule    TEXT NOT NULL,         -- why they are one, or who judged so
    origin  BLOB NOT NULL,         -- which entry of which log wrote it first
    epoch   INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    call    INTEGER NOT NULL,
    model   TEXT NOT NULL,
    facet   INTEGER NOT NULL,
    t_s     REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX other_forms_by_ordinal ON other_forms (ordinal);

CREATE TABLE doubts (              -- pairs of entries that may be one
    ordinal INTEGER NOT NULL,
    other   INTEGER NOT NULL,      -- the earlier one
    reason  TEXT NOT NULL,
    verdict TEXT NOT NULL,         -- open | different
    judge   TEXT NOT NULL,         -- who said so: a model, or `you`; '' while open
    PRIMARY KEY (ordinal, other)
) WITHOUT ROWID;

CREATE TABLE waiting (             -- found entries that a judge is asked about: no verdict yet
    origin BLOB NOT NULL,
    epoch  INTEGER NOT NULL,
    seq    INTEGER NOT NULL,
    text   TEXT NOT NULL,
    call   INTEGER NOT NULL,
    model  TEXT NOT NULL,
    facet  INTEGER NOT NULL,
    PRIMARY KEY (origin, epoch, seq)
) WITHOUT ROWID;

CREATE TABLE excluded (            -- `--exclude`: known, never written
    key  BLOB PRIMARY KEY,
    text TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE facets (              -- parts of the topic, each as often as a model named it
    id     INTEGER NOT NULL,       -- follows from the name
    name   TEXT NOT NULL,
    parent INTEGER NOT NULL,       -- id of the facet that it is a part of; 0: the topic
    model  TEXT NOT NULL,
    call   INTEGER NOT NULL,       -- seq of that log's CallStarted
    origin BLOB NOT NULL,
    epoch  INTEGER NOT NULL,
    seq    INTEGER NOT NULL,
    PRIMARY KEY (origin, epoch, seq)
) WITHOUT ROWID;
CREATE INDEX facets_by_id ON facets (id);

CREATE TABLE calls (               -- every attempt to ask a model
    origin              BLOB NOT NULL,
    epoch               INTEGER NOT NULL,
    seq                 INTEGER NOT NULL,
    model               TEXT,
    asked_count         INTEGER,
    facet               TEXT,
    purpose             TEXT,      -- entries | facets | judgements
    started_ms          INTEGER,
    reserved_usd        REAL,      -- the most it may cost; counts until its end is said
    outcome             TEXT,      -- NULL: not finished, or its end was never said
    error               TEXT,
    found_count         INTEGER,   -- entries that its producer did not know
    repeat_count        INTEGER,   -- and that it knew
    input_tokens        INTEGER,   -- cached ones included
    cached_input_tokens INTEGER,
    cache_write_tokens  INTEGER,   -- of the input, written to a cache
    output_tokens       INTEGER,   -- hidden reasoning included
    reasoning_tokens    INTEGER,
    estimated           INTEGER,   -- 1: the provider did not say, the counts are ours
    cost_usd            REAL,      -- NULL: price unknown
    latency_s           REAL,
    first_token_s       REAL,
    ended               INTEGER,   -- 1, 2, 3, ... as ends became known; absent in older runs
    PRIMARY KEY (origin, epoch, seq)
) WITHOUT ROWID;
CREATE INDEX calls_by_ended ON calls (ended);

CREATE TABLE model_totals (        -- sums over all log entries taken in, one row a model
    model               TEXT PRIMARY KEY,
    "unique"            INTEGER NOT NULL,
    duplicates          INTEGER NOT NULL,
    rejected            INTEGER NOT NULL,
    calls               INTEGER NOT NULL,
    calls_failed        INTEGER NOT NULL,
    input_tokens        INTEGER NOT NULL,
    cached_input_tokens INTEGER NOT NULL,
    output_tokens       INTEGER NOT NULL,
    cost_usd            REAL NOT NULL,
    calls_unpriced      INTEGER NOT NULL,
    calls_cut           INTEGER NOT NULL, -- ended by their producer: they brought too little
    cache_write_tokens  INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE accounts (            -- what each producer may spend, over all its starts
    origin            BLOB PRIMARY KEY,
    granted_usd       REAL NOT NULL,
    returned_usd      REAL NOT NULL, -- given back: it may spend granted_usd - returned_usd
    asked_epoch       INTEGER NOT NULL, -- its latest word: which entry of its log,
    asked_seq         INTEGER NOT NULL,
    asked_granted_usd REAL NOT NULL, -- what it had been granted by then,
    wanted_usd        REAL NOT NULL  -- and what its next call may cost; 0: nothing
) WITHOUT ROWID;

CREATE TABLE taken_in (            -- which entries of which log these facts contain
    origin BLOB NOT NULL,
    epoch  INTEGER NOT NULL,
    ranges TEXT NOT NULL,          -- JSON: [[first, last], ...]
    PRIMARY KEY (origin, epoch)
) WITHOUT ROWID;

CREATE TABLE own_log (             -- the collector's own log, frame by frame as published
    epoch     INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    count     INTEGER NOT NULL,
    frame     BLOB NOT NULL,
    PRIMARY KEY (epoch, first_seq)
);

CREATE TABLE history (             -- the run's course, a point a second; readers thin it
    t_s   REAL PRIMARY KEY,
    point TEXT NOT NULL            -- JSON: as in /api/metrics
) WITHOUT ROWID;

CREATE TABLE nodes (               -- who took part
    origin BLOB PRIMARY KEY,
    label  TEXT NOT NULL
) WITHOUT ROWID;
