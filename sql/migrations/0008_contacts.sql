-- When doors were heard of: at each start of a connection, and once an hour.
CREATE TABLE contacts (
    door VARCHAR(64) NOT NULL,
    at DATETIME(6) NOT NULL,
    program VARCHAR(32) NOT NULL,
    PRIMARY KEY (door, at)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
