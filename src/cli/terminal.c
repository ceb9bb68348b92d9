/*
 * terminal.c
 *		Colours, widths and a screen of one's own.
 *
 * The few control sequences used here are those that every terminal of the last
 * decades knows (ECMA-48, and xterm's alternate screen); there is no terminfo.
 *
 * For all that is drawn; nothing here knows what is shown.
 */
#include "terminal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

/* Of a line that goes on. */
#define FOLD_INDENTATION	4

static bool screen_taken = false;
static bool keys_taken = false;
static struct termios former_keys;

bool
pgha_terminal_is(FILE *file)
{
	const char *name = getenv("TERM");

	return isatty(fileno(file)) && name != NULL && *name != '\0' && strcmp(name, "dumb") != 0;
}

bool
pgha_terminal_coloured(FILE *file, PghaColor color)
{
	const char *no_color = getenv("NO_COLOR");

	if (color != PGHA_COLOR_AUTO)
		return color == PGHA_COLOR_ALWAYS;
	return (no_color == NULL || *no_color == '\0') && pgha_terminal_is(file);
}

const char *
pgha_paint(bool coloured, PghaPaint paint)
{
	static const char *const sequence[] = {
		[PGHA_PAINT_NONE] = "\033[0m",
		[PGHA_PAINT_GOOD] = "\033[32m",
		[PGHA_PAINT_WARN] = "\033[33m",
		[PGHA_PAINT_BAD] = "\033[31m",
	};

	return coloured ? sequence[paint] : "";
}

/* COLUMNS in the environment; 0: it is not there, or no number. */
static int
columns_told(void)
{
	const char *text = getenv("COLUMNS");
	char	   *end;
	long		value;

	if (text == NULL)
		return 0;
	value = strtol(text, &end, 10);
	return end != text && *end == '\0' && value > 0 && value <= 10000 ? (int) value : 0;
}

int
pgha_terminal_width(FILE *file)
{
	int			columns;
	int			rows;

	if (!isatty(fileno(file)))
		return columns_told();
	pgha_terminal_size(file, &columns, &rows);
	return columns;
}

void
pgha_terminal_size(FILE *file, int *columns, int *rows)
{
	struct winsize size;

	*columns = columns_told() > 0 ? columns_told() : 80;
	*rows = 24;
	if (ioctl(fileno(file), TIOCGWINSZ, &size) != 0)
		return;
	if (size.ws_col > 0)
		*columns = size.ws_col;
	if (size.ws_row > 0)
		*rows = size.ws_row;
}

/* The length of the escape sequence that begins here, 0 if none does. */
static size_t
sequence_length(const char *text)
{
	size_t		length = 2;

	if (text[0] != '\033' || text[1] != '[')
		return 0;
	while (text[length] != '\0' && (text[length] < '@' || text[length] > '~'))
		length++;
	return text[length] != '\0' ? length + 1 : length;
}

static bool
begins_character(char c)
{
	return ((unsigned char) c & 0xC0) != 0x80;
}

int
pgha_text_width(const char *text)
{
	int			count = 0;

	while (*text != '\0')
	{
		size_t		skip = sequence_length(text);

		if (skip == 0 && begins_character(*text))
			count++;
		text += skip > 0 ? skip : 1;
	}
	return count;
}

void
pgha_text_clip(FILE *out, const char *line, size_t length, int columns)
{
	int			count = 0;

	for (size_t i = 0; i < length;)
	{
		size_t		size = sequence_length(line + i);

		if (size == 0)
		{
			size = 1;
			if (begins_character(line[i]))
				count++;
			if (count > columns)
			{
				i++;
				continue;
			}
		}
		(void) fwrite(line + i, 1, size, out);
		i += size;
	}
}

/*
 * How many bytes of a line fit into so many columns: up to the last space, unless
 * that is within the first ones (of an indentation), else in the middle of a word.
 */
static size_t
fitting_length(const char *line, size_t length, int columns, int indentation)
{
	int			count = 0;
	size_t		space = 0;

	for (size_t i = 0; i < length;)
	{
		size_t		size = sequence_length(line + i);

		if (size == 0)
		{
			size = 1;
			if (begins_character(line[i]) && ++count > columns)
				return line[i] == ' ' ? i : space > 0 ? space : i;
			if (line[i] == ' ' && count > indentation + 1)
				space = i;
		}
		i += size;
	}
	return length;
}

void
pgha_text_fold(FILE *out, const char *text, int columns)
{
	while (*text != '\0')
	{
		size_t		length = strcspn(text, "\n");
		int			indentation = 0;

		for (;;)
		{
			size_t		fits = fitting_length(text, length, columns - indentation, indentation > 0 ? 0 : FOLD_INDENTATION);

			fprintf(out, "%*s%.*s\n", indentation, "", (int) fits, text);
			text += fits;
			length -= fits;
			if (length == 0 || fits == 0)
				break;
			while (length > 0 && *text == ' ')
			{
				text++;
				length--;
			}
			indentation = columns >= 4 * FOLD_INDENTATION ? FOLD_INDENTATION : 0;
		}
		text += length + (text[length] == '\n');
	}
}

void
pgha_screen_show(const char *text)
{
	int			columns;
	int			rows;

	pgha_terminal_size(stdout, &columns, &rows);
	fputs("\033[H", stdout);
	for (int row = 0; row < rows && *text != '\0'; row++)
	{
		size_t		length = strcspn(text, "\n");

		if (row > 0)
			fputs("\r\n", stdout);
		fputs("\033[K", stdout);	/* before: after the last column it would erase that one */
		pgha_text_clip(stdout, text, length, columns);
		text += length + (text[length] == '\n');
		if (row < rows - 1 && *text == '\0')
			fputs("\r\n\033[J", stdout);
	}
	(void) fflush(stdout);
}

void
pgha_screen_enter(void)
{
	struct termios keys;

	if (isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &former_keys) == 0)
	{
		keys = former_keys;
		keys.c_lflag &= ~(tcflag_t) (ICANON | ECHO);
		keys.c_cc[VMIN] = 1;
		keys.c_cc[VTIME] = 0;
		keys_taken = tcsetattr(STDIN_FILENO, TCSANOW, &keys) == 0;
	}
	/* Alternate screen, no cursor, lines are cut off instead of wrapped. */
	fputs("\033[?1049h\033[?25l\033[?7l\033[2J", stdout);
	(void) fflush(stdout);
	screen_taken = true;
}

void
pgha_screen_leave(void)
{
	if (screen_taken)
		fputs("\033[?7h\033[?25h\033[?1049l", stdout);
	(void) fflush(stdout);
	if (keys_taken)
		(void) tcsetattr(STDIN_FILENO, TCSANOW, &former_keys);
	screen_taken = keys_taken = false;
}
