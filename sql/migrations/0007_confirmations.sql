-- Which version of a member each door has taken over.
CREATE TABLE confirmations (
    member_id VARCHAR(40) NOT NULL,
    version INT NOT NULL,
    door VARCHAR(64) NOT NULL,
    at DATETIME(6) NOT NULL,
    PRIMARY KEY (member_id, version, door),
    KEY confirmations_by_door (door, at)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
