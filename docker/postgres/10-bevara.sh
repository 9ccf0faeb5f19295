#!/bin/sh
# Runs once, when the database's volume is empty: a role for bevara that is no superuser, because row-level security does not
# hold superusers back, and a database of its own.
set -eu
password=$(cat /run/secrets/ledger_password)
psql --username "$POSTGRES_USER" --dbname postgres --set ON_ERROR_STOP=1 --set password="$password" --quiet <<'SQL'
CREATE ROLE bevara LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS PASSWORD :'password';
CREATE DATABASE bevara OWNER bevara ENCODING 'UTF8' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C.UTF-8';
REVOKE ALL ON DATABASE bevara FROM PUBLIC;
SQL
