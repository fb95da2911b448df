"""The central record on MySQL, MariaDB or what speaks their protocol; PyMySQL is loaded when a connection is made."""
