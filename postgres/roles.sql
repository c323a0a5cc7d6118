-- The roles of Pulse, made once, when PostgreSQL's volume is empty. Passwords come from the container's environment.
--
--   pulse_owner     owns the database; `pulse migrate`
--   pulse_ui_api    member of pulse_api; ui_api and `pulse token`
--   pulse_services  member of pulse_worker; the other four services
--
-- What pulse_api and pulse_worker may do is granted by the migrations.

-- A statement that fails would be logged, and with it the password in it.
SET log_min_error_statement = panic;
\getenv owner_password POSTGRES_OWNER_PASSWORD
\getenv ui_api_password POSTGRES_UI_API_PASSWORD
\getenv services_password POSTGRES_SERVICES_PASSWORD

CREATE ROLE pulse_api NOLOGIN;
CREATE ROLE pulse_worker NOLOGIN;
-- CREATEROLE and the admin option are for migrations to come: a later version may need another group.
CREATE ROLE pulse_owner LOGIN CREATEROLE PASSWORD :'owner_password';
GRANT pulse_api, pulse_worker TO pulse_owner WITH ADMIN OPTION;
CREATE ROLE pulse_ui_api LOGIN PASSWORD :'ui_api_password' IN ROLE pulse_api;
CREATE ROLE pulse_services LOGIN PASSWORD :'services_password' IN ROLE pulse_worker;

ALTER DATABASE pulse OWNER TO pulse_owner;
REVOKE ALL ON DATABASE pulse FROM PUBLIC;
GRANT CONNECT ON DATABASE pulse TO pulse_api, pulse_worker;
