/*
 * session_settings.h
 *		What pgha's own sessions with servers rely on.
 *
 * Settings of a server, a database or a role are meant for applications: limits
 * of time, isolation, a schema path, a role.  pgha's sessions have their own, set
 * as they connect (PGHA_SESSION_PARAMETERS: as part of the connection string, for
 * sessions with members, which are direct) or right afterwards
 * (PGHA_SESSION_QUERY: for the commands that people run, which may go through a
 * connection pool that knows no options, and whose PGOPTIONS are theirs).
 */
#ifndef PGHA_SESSION_SETTINGS_H
#define PGHA_SESSION_SETTINGS_H

#include "compat.h"

/* No value may hold a blank or a quote: see below for the one that does. */
#define PGHA_SESSION_SETTINGS(SETTING) \
	SETTING("search_path", "pg_catalog") \
	SETTING("default_transaction_read_only", "off") \
	SETTING("default_transaction_deferrable", "off") \
	SETTING("statement_timeout", "0") \
	SETTING("lock_timeout", "0") \
	SETTING("idle_in_transaction_session_timeout", "0") \
	SETTING("idle_session_timeout", "0") \
	SETTING("client_min_messages", "notice") \
	SETTING("datestyle", "ISO") \
	SETTING("bytea_output", "hex") \
	SETTING("standard_conforming_strings", "on")

#define PGHA_SETTING_AS_OPTION(name, value)	" -c " name "=" value
#define PGHA_SETTING_AS_QUERY(name, value)	"SET " name " = '" value "';"

/* `more`: further options, which win. */
#define PGHA_SESSION_PARAMETERS(more) \
	"client_encoding=UTF8 options='-c role=none -c default_transaction_isolation=read\\\\ committed" \
	PGHA_SETTINGS_OF_VERSION PGHA_SESSION_SETTINGS(PGHA_SETTING_AS_OPTION) " " more "'"

/*
 * SET needs no snapshot, which a serializable transaction would not get on a
 * standby.  The role is left alone: a person's right to do this may come from it.
 */
#define PGHA_SESSION_QUERY \
	"SET default_transaction_isolation = 'read committed';" PGHA_SESSION_SETTINGS(PGHA_SETTING_AS_QUERY)
#define PGHA_SESSION_QUERY_OF_17	"SET transaction_timeout = 0"

#endif							/* PGHA_SESSION_SETTINGS_H */
