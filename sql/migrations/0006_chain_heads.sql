-- Where a door's chain stood each time that it delivered: a record that is put back to an older copy shows.
CREATE TABLE chain_heads (
    door VARCHAR(64) NOT NULL,
    record CHAR(16) NOT NULL,
    sequence BIGINT NOT NULL,
    hash CHAR(64) NOT NULL,
    at DATETIME(6) NOT NULL,
    PRIMARY KEY (door, record, sequence),
    KEY chain_heads_by_time (door, at)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
