/*
 * conf_edit.h
 *		Changes the list of pgha.members or pgha.witnesses in the server's configuration files.
 */
#ifndef PGHA_CONF_EDIT_H
#define PGHA_CONF_EDIT_H

#include "conf.h"

/* An order of the primary: the one node of the list that is to come or go, and the list as it is to be. */
typedef struct PghaListOrder
{
	bool		write;			/* else only look whether it could be done */
	bool		witnesses;		/* pgha.witnesses, else pgha.members */
	char		node[PGHA_NAME_SIZE];
	PghaMembers list;			/* all of them count as members here */
} PghaListOrder;

/* Reads an order as text: see PGHA_LIST_ORDER_SIZE.  False with a sentence in `error`. */
extern bool pgha_list_order_parse(const char *text, PghaListOrder *order, char *error, size_t error_size);

/*
 * Carries it out.  `data` and `config_file` are as for pgha_agent_conf_read().
 * True with what was done in `message`, which begins with "unchanged" if the list is
 * there already.  False with a sentence that says why not, and what to write by hand;
 * then no file has changed.
 */
extern bool pgha_conf_change_list(const char *data, const char *config_file, const PghaListOrder *order,
								  char *message, size_t message_size);

#endif							/* PGHA_CONF_EDIT_H */
