/*
 * own.h
 *		GET /pgha: all that this node knows, in pgha's own words.
 */
#ifndef PGHA_WEB_OWN_H
#define PGHA_WEB_OWN_H

#include "view.h"

/* For those who hold the view's lock. */
extern json_t *pgha_own_document(const PghaWebView *view, int64_t now_us);

#endif							/* PGHA_WEB_OWN_H */
