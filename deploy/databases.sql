-- Six databases and six roles that cannot enter each other's, for a deployment: run once as the administrator, e.g.
--   psql -v identity=... -v directory=... -v dossier=... -v documents=... -v audit=... -v notifications=... -f databases.sql
-- (each variable a role's password). The local stack does the same in deploy/local/postgres.py.
CREATE ROLE opendsp_identity LOGIN PASSWORD :'identity';
CREATE ROLE opendsp_directory LOGIN PASSWORD :'directory';
CREATE ROLE opendsp_dossier LOGIN PASSWORD :'dossier';
CREATE ROLE opendsp_documents LOGIN PASSWORD :'documents';
CREATE ROLE opendsp_audit LOGIN PASSWORD :'audit';
CREATE ROLE opendsp_notifications LOGIN PASSWORD :'notifications';

CREATE DATABASE opendsp_identity OWNER opendsp_identity;
CREATE DATABASE opendsp_directory OWNER opendsp_directory;
CREATE DATABASE opendsp_dossier OWNER opendsp_dossier;
CREATE DATABASE opendsp_documents OWNER opendsp_documents;
CREATE DATABASE opendsp_audit OWNER opendsp_audit;
CREATE DATABASE opendsp_notifications OWNER opendsp_notifications;

REVOKE ALL ON DATABASE opendsp_identity FROM PUBLIC;
REVOKE ALL ON DATABASE opendsp_directory FROM PUBLIC;
REVOKE ALL ON DATABASE opendsp_dossier FROM PUBLIC;
REVOKE ALL ON DATABASE opendsp_documents FROM PUBLIC;
REVOKE ALL ON DATABASE opendsp_audit FROM PUBLIC;
REVOKE ALL ON DATABASE opendsp_notifications FROM PUBLIC;
REVOKE CONNECT ON DATABASE postgres FROM PUBLIC;
REVOKE CONNECT ON DATABASE template1 FROM PUBLIC;
