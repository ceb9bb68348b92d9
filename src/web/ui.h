/*
 * ui.h
 *		GET /ui: the page for people.
 */
#ifndef PGHA_WEB_UI_H
#define PGHA_WEB_UI_H

/* A copy of the page, to be freed; NULL: out of memory. */
extern char *pgha_ui_page(void);

/*
 * Its Content-Security-Policy: nothing from elsewhere, and of scripts and styles those of
 * the page alone, by their hashes.  NULL if the hashes cannot be made.
 */
extern const char *pgha_ui_policy(void);

#endif							/* PGHA_WEB_UI_H */
