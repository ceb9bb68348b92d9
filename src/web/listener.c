/*
 * listener.c
 *		The sockets of pgha.http, and the threads that answer on them: libmicrohttpd's.
 *
 * One daemon, with one thread, for each address.  Whoever reaches it is a stranger:
 * connections are limited in number, also from one address; so are the size of a
 * request, the time without a byte, and the time that a request may take as a whole,
 * the first of a connection more so.
 * Only GET, HEAD and OPTIONS are answered, nothing is read from a body, and no
 * argument of a request gets into a file, a query or a command.
 *
 * A certificate that is renewed is taken over once it can be used; until then the
 * former one is shown.  The private key is only in memory while TLS is set up, and in
 * that of the TLS library.
 */
#include "listener.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <microhttpd.h>

#include "../common/clock.h"
#include "../common/errors.h"
#include "../common/log.h"
#include "../net/resolve.h"
#include "reply.h"
#include "tls.h"

#define MAX_CONNECTIONS		1024	/* of one daemon */
#define MAX_PER_ADDRESS		64
#define MEMORY_PER_CONNECTION	16384	/* the request line and its headers must fit */
#define IDLE_LIMIT_S		10
#define FIRST_LIMIT_MS		3000	/* for the first request of a connection, and TLS */
#define REQUEST_LIMIT_MS	10000
#define MAX_PATH			256
#define RETRY_MS			2000
#define RETRY_MAX_MS		32000	/* where a name is not found */
#define LOOK_UP_LIMIT_MS	1000
#define LOOK_EVERY_MS		3000	/* at the files of TLS */
#define SWEEP_MS			1000
#define BACKLOG				128

/* libmicrohttpd has called these in more than one way. */
#define CONTENT_TOO_LARGE	413
#define URI_TOO_LONG		414
#define TLS_PRIORITIES		"SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

/* A connection, and since when its request is awaited. */
typedef struct Guest
{
	int			fd;
	int64_t		since;
	bool		known;			/* it has had an answer */
	struct Guest *next;
} Guest;

typedef struct Door
{
	PghaListener *listener;
	struct MHD_Daemon *daemon;	/* NULL: does not listen */
	char		complaint[400]; /* last one logged */
	int64_t		retry_at;
	int			pause;			/* until then */
	pthread_mutex_t lock;		/* for the guests */
	Guest	   *guests;
} Door;

struct PghaListener
{
	PghaWebView *view;
	int			count;
	int64_t		look_at;		/* at the files of TLS, not before */
	int64_t		files;			/* stamp of those in force */
	char		complaint[400]; /* last one logged about renewed ones */
	Door		door[PGHA_MAX_LISTEN];
};

/* ---- who is there ---- */

/* In the daemon's thread. */
static void
note_connection(void *cls, struct MHD_Connection *connection, void **socket_context, enum MHD_ConnectionNotificationCode code)
{
	Door	   *door = cls;
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	Guest	  **link = &door->guests;
	Guest	   *guest = code == MHD_CONNECTION_NOTIFY_STARTED ? calloc(1, sizeof(*guest)) : *socket_context;

	if (guest == NULL)
		return;
	(void) pthread_mutex_lock(&door->lock);
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
	{
		guest->fd = info != NULL ? info->connect_fd : -1;
		guest->since = pgha_awake_ms();
		guest->next = door->guests;
		door->guests = guest;
		*socket_context = guest;
	}
	else
	{
		while (*link != NULL && *link != guest)
			link = &(*link)->next;
		if (*link != NULL)
			*link = guest->next;
		free(guest);
		*socket_context = NULL;
	}
	(void) pthread_mutex_unlock(&door->lock);
}

/* The next request of a connection has its own time. */
static void
note_request(void *cls, struct MHD_Connection *connection, void **request_context, enum MHD_RequestTerminationCode code)
{
	Door	   *door = cls;
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	Guest	   *guest = info != NULL ? info->socket_context : NULL;

	(void) request_context;
	(void) code;
	(void) pthread_mutex_lock(&door->lock);
	if (guest != NULL)
	{
		guest->since = pgha_awake_ms();
		guest->known = true;
	}
	(void) pthread_mutex_unlock(&door->lock);
}

/* Ends connections that send their request drop by drop.  The daemon closes them: until then the number is theirs. */
static void
sweep(Door *door, int64_t now)
{
	(void) pthread_mutex_lock(&door->lock);
	for (Guest *guest = door->guests; guest != NULL; guest = guest->next)
	{
		if (guest->fd >= 0 && now - guest->since > (guest->known ? REQUEST_LIMIT_MS : FIRST_LIMIT_MS))
		{
			(void) shutdown(guest->fd, SHUT_RDWR);
			guest->fd = -1;
		}
	}
	(void) pthread_mutex_unlock(&door->lock);
}

/* ---- requests ---- */

static enum MHD_Result
answer(struct MHD_Connection *connection, int status, const char *type, const char *policy, char *body, bool allow)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(strlen(body), body, MHD_RESPMEM_MUST_FREE);
	enum MHD_Result result;

	if (response == NULL)
	{
		free(body);
		return MHD_NO;
	}
	(void) MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	(void) MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	(void) MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	(void) MHD_add_response_header(response, "Content-Security-Policy", policy != NULL ? policy : "default-src 'none'");
	if (allow)
		(void) MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD, OPTIONS");
	result = MHD_queue_response(connection, (unsigned int) status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result
refuse(Door *door, struct MHD_Connection *connection, int status, const char *why)
{
	char	   *body = strdup(why);

	pgha_web_count(door->listener->view, status);
	return body != NULL ? answer(connection, status, "application/json", NULL, body, status == MHD_HTTP_METHOD_NOT_ALLOWED) : MHD_NO;
}

static enum MHD_Result
note_tag(void *cls, enum MHD_ValueKind kind, const char *key, const char *value)
{
	bool	   *tags = cls;

	(void) kind;
	(void) value;
	if (strncmp(key, "tag_", 4) == 0)
		*tags = true;
	return MHD_YES;
}

static const char *
parameter(struct MHD_Connection *connection, const char *name)
{
	return MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, name);
}

static bool
has_body(struct MHD_Connection *connection)
{
	const char *length = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);

	return (length != NULL && strcmp(length, "0") != 0) ||
		MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_TRANSFER_ENCODING) != NULL;
}

static bool
wants_openmetrics(struct MHD_Connection *connection)
{
	const char *accept = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);

	return accept != NULL && strstr(accept, "application/openmetrics-text") != NULL;
}

/* libmicrohttpd calls it twice: when it has the headers, and when it has all. */
static enum MHD_Result
handle(void *cls, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
	   const char *upload, size_t *upload_size, void **request_context)
{
	static char seen;
	Door	   *door = cls;
	bool		options = strcmp(method, MHD_HTTP_METHOD_OPTIONS) == 0;
	PghaWebRequest request = {.path = url};
	PghaWebReply reply;

	(void) version;
	(void) upload;
	(void) upload_size;
	if (*request_context == NULL)
	{
		*request_context = &seen;
		if (!options && strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
			return refuse(door, connection, MHD_HTTP_METHOD_NOT_ALLOWED, "{\"error\":\"nothing can be changed here\"}");
		if (has_body(connection))
			return refuse(door, connection, CONTENT_TOO_LARGE, "{\"error\":\"no body is read\"}");
		if (strlen(url) > MAX_PATH)
			return refuse(door, connection, URI_TOO_LONG, "{\"error\":\"the path is too long\"}");
		return MHD_YES;
	}
	request.lag = parameter(connection, "lag");
	request.mode = parameter(connection, "mode");
	request.replication_state = parameter(connection, "replication_state");
	request.names = parameter(connection, "names");
	(void) MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, note_tag, &request.tags);
	request.openmetrics = wants_openmetrics(connection);
	pgha_web_reply(door->listener->view, &request, &reply);
	if (reply.body != NULL && options)
		reply.body[0] = '\0';
	return reply.body != NULL ? answer(connection, reply.status, reply.type, reply.policy, reply.body, options) : MHD_NO;
}

/* ---- sockets ---- */

static bool
bind_address(const struct addrinfo *found, int *fd, char *error, size_t error_size)
{
	int			on = 1;

	*fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (*fd >= 0 && setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
		(found->ai_family != AF_INET6 || setsockopt(*fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) == 0) &&
		bind(*fd, found->ai_addr, found->ai_addrlen) == 0 && listen(*fd, BACKLOG) == 0)
		return true;
	(void) pgha_fail(error, error_size, "%s", strerror(errno));
	if (*fd >= 0)
		(void) close(*fd);
	*fd = -1;
	return false;
}

/* The socket of an address; -1 with a reason. */
static int
open_socket(const char *address, int port, char *error, size_t error_size)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV | AI_NUMERICHOST};
	struct addrinfo *found = NULL;
	char		service[16];
	int			fd = -1;
	int			failed;

	(void) snprintf(service, sizeof(service), "%d", port);
	failed = getaddrinfo(address, service, &hints, &found);
	if (failed != 0)
	{
		(void) pgha_fail(error, error_size, "%s", gai_strerror(failed));
		return -1;
	}
	for (const struct addrinfo *one = found; one != NULL && fd < 0; one = one->ai_next)
		(void) bind_address(one, &fd, error, error_size);
	freeaddrinfo(found);
	return fd;
}

/* The same of a name, too, of which the first address that can be used is taken; grows the pause if it is not found. */
static int
open_host(Door *door, const char *host, int port, char *error, size_t error_size)
{
	char		found[512];
	char	   *rest = found;
	char	   *address;
	int			fd = -1;

	if (!pgha_is_name(host))
		return open_socket(host, port, error, error_size);
	if (!pgha_resolve_within(host, LOOK_UP_LIMIT_MS, found, sizeof(found)))
	{
		door->pause = door->pause < RETRY_MAX_MS / 2 ? door->pause * 2 : RETRY_MAX_MS;
		(void) pgha_fail(error, error_size, "%s", found);
		return -1;
	}
	while (fd < 0 && (address = strtok_r(rest, ",", &rest)) != NULL)
		fd = open_socket(address, port, error, error_size);
	return fd;
}

static void
drop_message(void *arg, const char *format, va_list args)
{
	/* It is about what strangers send: counted, not logged. */
	(void) arg;
	(void) format;
	(void) args;
}

static struct MHD_Daemon *
start_daemon(Door *door, int fd, const PghaTls *tls)
{
	unsigned int flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ERROR_LOG | (tls->key != NULL ? MHD_USE_TLS : 0);
	struct MHD_OptionItem items[] = {
		{MHD_OPTION_HTTPS_MEM_CERT, 0, tls->cert},
		{MHD_OPTION_HTTPS_MEM_KEY, 0, tls->key},
		{MHD_OPTION_HTTPS_PRIORITIES, 0, TLS_PRIORITIES},
		{MHD_OPTION_END, 0, NULL}
	};

	if (tls->key == NULL)
		items[0].option = MHD_OPTION_END;
	return MHD_start_daemon(flags, 0, NULL, NULL, handle, door,
							MHD_OPTION_EXTERNAL_LOGGER, drop_message, NULL,
							MHD_OPTION_LISTEN_SOCKET, fd,
							MHD_OPTION_CONNECTION_LIMIT, (unsigned int) MAX_CONNECTIONS,
							MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned int) MAX_PER_ADDRESS,
							MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t) MEMORY_PER_CONNECTION,
							MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int) IDLE_LIMIT_S,
							MHD_OPTION_NOTIFY_CONNECTION, note_connection, door,
							MHD_OPTION_NOTIFY_COMPLETED, note_request, door,
							MHD_OPTION_ARRAY, items, MHD_OPTION_END);
}

/* `tls`: NULL if it cannot be used, for the reason that is in `error`. */
static void
open_door(Door *door, const PghaTls *tls, char *error, size_t error_size)
{
	const PghaAgentConf *conf = door->listener->view->conf;
	const char *host = conf->http_listen.at[door - door->listener->door].host;
	int			port = conf->http_listen.at[door - door->listener->door].port;
	char		where[PGHA_HOST_SIZE + 16];
	int			fd = -1;

	(void) snprintf(where, sizeof(where), strchr(host, ':') != NULL ? "[%s]:%d" : "%s:%d", host, port);
	if (tls != NULL)
		fd = open_host(door, host, port, error, error_size);
	if (fd >= 0)
	{
		door->daemon = start_daemon(door, fd, tls);
		if (door->daemon == NULL)
		{
			(void) close(fd);
			(void) pgha_fail(error, error_size, "%s", tls->key != NULL ?
							 "pgha.http_tls_cert and pgha.http_tls_key cannot be used" : "libmicrohttpd could not be started");
		}
	}
	if (door->daemon != NULL)
		door->pause = RETRY_MS;
	if (door->daemon != NULL)
		pgha_agent_log("http: answers on %s%s", where, conf->http_tls_cert[0] != '\0' ? " (TLS)" : "");
	else if (strcmp(error, door->complaint) != 0)
		pgha_agent_warning("http: cannot answer on %s, is tried again: %s", where, error);
	(void) snprintf(door->complaint, sizeof(door->complaint), "%s", door->daemon == NULL ? error : "");
}

/* ---- the files of TLS ---- */

static int64_t
stamp_of(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return 0;
	return (st.st_mtim.tv_sec * 1000000 + st.st_mtim.tv_nsec / 1000) * 31 + (int64_t) st.st_ino;
}

/* Changes with the files. */
static int64_t
files_stamp(const PghaAgentConf *conf)
{
	return conf->http_tls_cert[0] != '\0' ? stamp_of(conf->http_tls_cert) * 31 + stamp_of(conf->http_tls_key) : 0;
}

static bool
load_tls(const PghaListener *listener, PghaTls *tls, char *error, size_t error_size)
{
	const PghaAgentConf *conf = listener->view->conf;

	tls->cert = tls->key = NULL;
	return conf->http_tls_cert[0] == '\0' ||
		pgha_tls_load(conf->http_tls_cert, conf->http_tls_key, tls, error, error_size);
}

/*
 * Takes renewed files over, if they can be used: shuts what is open, to be opened
 * with them.  Else the former ones stay in force, which is said once.
 */
static void
look_at_files(PghaListener *listener, int64_t now)
{
	int64_t		stamp = files_stamp(listener->view->conf);
	char		error[sizeof(listener->complaint)] = "";
	PghaTls		tls;

	listener->look_at = now + LOOK_EVERY_MS;
	if (stamp == listener->files)
		listener->complaint[0] = '\0';
	if (stamp == listener->files)
		return;
	if (load_tls(listener, &tls, error, sizeof(error)))
	{
		listener->files = stamp;
		for (int i = 0; i < listener->count; i++)
		{
			if (listener->door[i].daemon != NULL)
				MHD_stop_daemon(listener->door[i].daemon);
			listener->door[i].daemon = NULL;
			listener->door[i].retry_at = 0;
		}
	}
	else if (strcmp(error, listener->complaint) != 0)
		pgha_agent_warning("http: the renewed certificate or key is not used, the former one stays in force: %s", error);
	pgha_tls_free(&tls);
	(void) snprintf(listener->complaint, sizeof(listener->complaint), "%s", error);
}

/* Opens what is not open, and due. */
static void
open_doors(PghaListener *listener, int64_t now)
{
	char		error[400] = "";
	PghaTls		tls = {NULL, NULL};
	bool		looked = false;
	bool		usable = false;

	for (int i = 0; i < listener->count; i++)
	{
		Door	   *door = &listener->door[i];

		if (door->daemon != NULL || now < door->retry_at)
			continue;
		if (!looked)
			usable = load_tls(listener, &tls, error, sizeof(error));
		looked = true;
		door->pause = door->pause != 0 ? door->pause : RETRY_MS;
		open_door(door, usable ? &tls : NULL, error, sizeof(error));
		door->retry_at = now + door->pause;
	}
	pgha_tls_free(&tls);
}

/* ---- for the process ---- */

PghaListener *
pgha_listener_new(PghaWebView *view)
{
	PghaListener *listener = calloc(1, sizeof(*listener));

	if (listener == NULL)
		return NULL;
	listener->view = view;
	listener->count = view->conf->http_listen.count;
	for (int i = 0; i < listener->count; i++)
	{
		listener->door[i].listener = listener;
		(void) pthread_mutex_init(&listener->door[i].lock, NULL);
	}
	return listener;
}

int64_t
pgha_listener_tend(PghaListener *listener)
{
	int64_t		now = pgha_clock_ms();
	bool		open = false;

	for (int i = 0; i < listener->count; i++)
	{
		if (listener->door[i].daemon != NULL)
			sweep(&listener->door[i], pgha_awake_ms());
		open |= listener->door[i].daemon != NULL;
	}
	if (!open)
		listener->files = files_stamp(listener->view->conf);
	else if (now >= listener->look_at)
		look_at_files(listener, now);
	open_doors(listener, now);
	return now + SWEEP_MS;
}

void
pgha_listener_end(PghaListener *listener)
{
	for (int i = 0; i < listener->count; i++)
	{
		if (listener->door[i].daemon != NULL)
			MHD_stop_daemon(listener->door[i].daemon);
	}
	free(listener);
}
