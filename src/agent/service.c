/*
 * service.c
 *		What the agent tells the service manager that has started it (systemd):
 *		that it is ready, that it lives, and in one sentence what it sees.
 *
 * For the agent's loop alone: a loop that hangs gives no sign of life, and is
 * killed and started anew (WatchdogSec=).  That the children of the agent do not
 * speak for it is seen to where they become other programs (common/child.c).
 */
#include "service.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <systemd/sd-daemon.h>

#include "../common/errors.h"

#define STATUS_SIZE		512

static bool ready = false;		/* that was told */
static int64_t alive_at = 0;	/* when to give the next sign of life */
static int64_t alive_every = -1;	/* 0: nobody waits for any; -1: not known yet */
static char told[STATUS_SIZE] = "";

/*
 * A third of what the service manager waits for: a round of the loop that waits for
 * storage, or for a recovery to begin, takes its time on top of that.
 */
static int64_t
sign_every(void)
{
	uint64_t	limit_us;

	if (alive_every < 0)
		alive_every = sd_watchdog_enabled(0, &limit_us) > 0 ? (int64_t) (limit_us / 3000) : 0;
	return alive_every;
}

/* What the server is. */
static void
put_role(const PghaServiceView *view, char *text, size_t size)
{
	const char *node = view->conf->members.member[view->conf->self].name;
	const char *leader = view->leader != PGHA_NOBODY ? view->conf->members.member[view->leader].name : NULL;

	if (view->own == NULL && view->server == PGHA_SERVER_RUNNING)
		(void) snprintf(text, size, "%s: the server runs, and does not answer", node);
	else if (view->own == NULL)
		(void) snprintf(text, size, "%s: the server is %s", node, pgha_server_word(view->server));
	else if (!view->own->in_recovery)
		(void) snprintf(text, size, "%s: %s", node,
						strcmp(view->own->state, "primary") == 0 ? "the primary" : view->own->state);
	else
		(void) snprintf(text, size, "%s: %s%s", node, view->own->state,
						view->own->streaming ? ", streams" : ", does not stream");
	if (leader != NULL && (view->own == NULL || view->own->in_recovery))
		(void) snprintf(text + strlen(text), size - strlen(text), "; %s leads", leader);
	if (view->own != NULL && view->own->paused)
		(void) snprintf(text + strlen(text), size - strlen(text), "; failover is paused");
}

static void
put_status(const PghaServiceView *view, char *text, size_t size)
{
	const PghaJobStatus *job = view->job;

	put_role(view, text, size);
	if (job->running != 0)
		(void) snprintf(text + strlen(text), size - strlen(text), "; recovery: %s", job->phase);
	else if (job->known && strcmp(job->outcome, "failed") == 0)
		(void) snprintf(text + strlen(text), size - strlen(text), "; the last recovery failed: %.300s", job->message);
	(void) pgha_shown(text, false);
}

void
pgha_service_tend(const PghaServiceView *view, int64_t now)
{
	char		status[STATUS_SIZE];

	put_status(view, status, sizeof(status));
	if (!ready || strcmp(status, told) != 0)
	{
		(void) sd_notifyf(0, "%sSTATUS=%s", ready ? "" : "READY=1\n", status);
		(void) snprintf(told, sizeof(told), "%s", status);
		ready = true;
	}
	if (sign_every() > 0 && now >= alive_at)
	{
		(void) sd_notify(0, "WATCHDOG=1");
		alive_at = now + sign_every();
	}
}

int
pgha_service_wait_ms(int wanted_ms)
{
	return sign_every() > 0 && sign_every() / 2 < wanted_ms ? (int) (sign_every() / 2) : wanted_ms;
}

void
pgha_service_reloads(void)
{
	struct timespec now;

	(void) clock_gettime(CLOCK_MONOTONIC, &now);
	(void) sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld",
					  (long long) now.tv_sec * 1000000 + now.tv_nsec / 1000);
	ready = false;
}

void
pgha_service_ends(void)
{
	(void) sd_notify(0, "STOPPING=1\nSTATUS=ends");
}
