/*
 * patroni_metrics.h
 *		Patroni's metrics, made from what this node knows.
 */
#ifndef PGHA_WEB_PATRONI_METRICS_H
#define PGHA_WEB_PATRONI_METRICS_H

#include "exposition.h"
#include "view.h"

/* For those who hold the view's lock. */
extern void pgha_patroni_metrics(PghaExposition *out, const PghaWebView *view, int64_t now_us);

#endif							/* PGHA_WEB_PATRONI_METRICS_H */
