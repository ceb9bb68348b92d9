/*
 * config_http.h
 *		The settings pgha.http*, by which the agent answers over HTTP.
 */
#ifndef PGHA_CONFIG_HTTP_H
#define PGHA_CONFIG_HTTP_H

#include "postgres.h"

/* Defines the GUCs. */
extern void PghaConfigHttpInit(void);

/* False with a sentence, without its full stop, and a hint. */
extern bool PghaConfigHttpCheck(char *error, size_t error_size, char *hint, size_t hint_size);

#endif							/* PGHA_CONFIG_HTTP_H */
