-- The doors that write here; `account` is the login that each may use, from `host`, and a revoked one is shut out.
CREATE TABLE doors (
    name VARCHAR(64) NOT NULL,
    account VARCHAR(32) NULL,
    host VARCHAR(255) NOT NULL DEFAULT '%',
    registered_at DATETIME(6) NOT NULL,
    revoked_at DATETIME(6) NULL,
    note VARCHAR(200) NOT NULL DEFAULT '',
    PRIMARY KEY (name),
    UNIQUE KEY doors_by_account (account)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
