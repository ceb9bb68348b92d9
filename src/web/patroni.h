/*
 * patroni.h
 *		The documents of Patroni's REST API, made from what this node knows.
 */
#ifndef PGHA_WEB_PATRONI_H
#define PGHA_WEB_PATRONI_H

#include "view.h"

/*
 * The version of Patroni whose documents these are: clients tell by it what words
 * to expect.
 */
#define PGHA_PATRONI_VERSION		"4.0.0"
#define PGHA_PATRONI_VERSION_NUMBER	40000

/* For those who hold the view's lock.  /patroni, and the body of all checks. */
extern json_t *pgha_patroni_node(const PghaWebView *view, int64_t now_us);

/* /cluster */
extern json_t *pgha_patroni_cluster(const PghaWebView *view, int64_t now_us);

/* /config: what of pgha's settings has a name there. */
extern json_t *pgha_patroni_config(const PghaWebView *view);

/* Role and state in Patroni's words. */
extern const char *pgha_patroni_role(const PghaWebView *view, int64_t now_us);
extern const char *pgha_patroni_state(const PghaWebView *view, int64_t now_us);

#endif							/* PGHA_WEB_PATRONI_H */
