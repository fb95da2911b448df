-- Everything else on record. An event of a command that ran where there is no door has no link (record '', seq NULL).
CREATE TABLE door_events (
    id CHAR(36) NOT NULL,
    door VARCHAR(64) NOT NULL,
    record CHAR(16) NOT NULL,
    at DATETIME(6) NOT NULL,
    kind VARCHAR(64) NOT NULL,
    who VARCHAR(128) NOT NULL,
    why TEXT NOT NULL,
    detail MEDIUMTEXT NOT NULL,
    seq BIGINT NULL,
    hash CHAR(64) NULL,
    PRIMARY KEY (id),
    UNIQUE KEY door_events_by_link (door, record, seq),
    KEY door_events_by_door (door, at, id),
    KEY door_events_by_kind (kind, at, id),
    KEY door_events_by_time (at, id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
