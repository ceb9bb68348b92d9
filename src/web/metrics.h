/*
 * metrics.h
 *		GET /metrics: numbers for Prometheus.
 */
#ifndef PGHA_WEB_METRICS_H
#define PGHA_WEB_METRICS_H

#include "view.h"

/*
 * The text, to be freed; NULL: out of memory.  In OpenMetrics, or in Prometheus'
 * older format.  `patroni`: names and meaning are Patroni's.  For those who hold the
 * view's lock.
 */
extern char *pgha_metrics_text(const PghaWebView *view, int64_t now_us, bool openmetrics, bool patroni);

#endif							/* PGHA_WEB_METRICS_H */
