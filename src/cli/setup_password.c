/*
 * setup_password.c
 *		The password of the members' role: asked, read from a file, or made; and
 *		the question whether to go on.
 *
 * For `pgha create`, `pgha join` and `pgha witness init`.  It is never printed,
 * and never in a command line or an error.
 */
#include "setup_password.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "../common/log.h"
#include "../common/program.h"

static struct termios former;
static int	terminal = -1;

static void
restore(int signal_number)
{
	(void) tcsetattr(terminal, TCSAFLUSH, &former);
	(void) signal(signal_number, SIG_DFL);
	(void) raise(signal_number);
}

/* Reads a line, shown or not; false if there is no terminal, or its end. */
static bool
ask(const char *question, bool shown, char *answer, size_t size)
{
	struct termios quiet;
	ssize_t		length;

	terminal = open("/dev/tty", O_RDWR | O_CLOEXEC);
	if (terminal < 0 || tcgetattr(terminal, &former) != 0)
		return false;
	quiet = former;
	if (!shown)
		quiet.c_lflag &= ~(tcflag_t) ECHO;
	(void) signal(SIGINT, restore);
	(void) signal(SIGTERM, restore);
	(void) tcsetattr(terminal, TCSAFLUSH, &quiet);
	(void) !write(terminal, question, strlen(question));
	length = read(terminal, answer, size - 1);
	if (!shown)
		(void) !write(terminal, "\n", 1);
	(void) tcsetattr(terminal, TCSAFLUSH, &former);
	(void) signal(SIGINT, SIG_DFL);
	(void) signal(SIGTERM, SIG_DFL);
	(void) close(terminal);
	answer[length > 0 ? length : 0] = '\0';
	answer[strcspn(answer, "\r\n")] = '\0';
	return length > 0;
}

bool
pgha_can_ask(void)
{
	int			fd = open("/dev/tty", O_RDWR | O_CLOEXEC);
	bool		can = fd >= 0 && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);

	if (fd >= 0)
		(void) close(fd);
	return can;
}

bool
pgha_confirm(const char *question)
{
	char		answer[16];

	return ask(question, true, answer, sizeof(answer)) &&
		(strcasecmp(answer, "y") == 0 || strcasecmp(answer, "yes") == 0);
}

static int
no_password(const char *format, const char *name)
{
	pgha_error(stderr, "Write the password of the role \"pgha\" of the members into a file with mode 0600, and name it with --pwfile; or run this on a terminal.",
			   format, name);
	return EXIT_ERROR;
}

bool
pgha_password_parse(const char *text, char *password, size_t size)
{
	static const char beginning[] = "*:*:*:pgha:";
	bool		passfile = strncmp(text, beginning, sizeof(beginning) - 1) == 0;
	size_t		length = 0;

	if (passfile)
		text += sizeof(beginning) - 1;
	for (; *text != '\0' && *text != '\r' && *text != '\n'; text++)
	{
		if (passfile && *text == '\\' && text[1] != '\0')
			text++;
		if (length + 1 >= size)
			return false;
		password[length++] = *text;
	}
	password[length] = '\0';
	return length > 0;
}

/* The first line of a file that nobody else can read. */
static int
read_password(const char *path, char *password, size_t size)
{
	int			fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char		text[2 * PGHA_PASSWORD_SIZE + 32];
	ssize_t		length;
	bool		found;

	if (fd < 0 || fstat(fd, &st) != 0)
		return no_password("file \"%s\" cannot be read", path);
	if (S_ISREG(st.st_mode) && (st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
	{
		(void) close(fd);
		return no_password("file \"%s\" can be read by others", path);
	}
	length = read(fd, text, sizeof(text) - 1);
	(void) close(fd);
	text[length > 0 ? length : 0] = '\0';
	if (strcspn(text, "\r\n") == 0)
		return no_password("file \"%s\" has no password in its first line", path);
	found = pgha_password_parse(text, password, size);
	explicit_bzero(text, sizeof(text));
	return found ? EXIT_OK : no_password("the password in file \"%s\" is too long", path);
}

int
pgha_password_take(const char *pwfile, bool twice, char *password, size_t size)
{
	char		again[PGHA_PASSWORD_SIZE] = "";
	bool		same;

	if (pwfile != NULL)
		return read_password(pwfile, password, size);
	if (!ask("Password of the members' role \"pgha\": ", false, password, size) ||
		(twice && !ask("The same again: ", false, again, sizeof(again))))
		return no_password("%s", "no password was given");
	same = !twice || strcmp(password, again) == 0;
	explicit_bzero(again, sizeof(again));
	if (!same)
		return no_password("%s", "the two passwords differ");
	return password[0] != '\0' ? EXIT_OK : no_password("%s", "the password is empty");
}

bool
pgha_password_make(char *password)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
	unsigned char bytes[32];

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t) sizeof(bytes))
		return false;
	for (size_t i = 0; i < sizeof(bytes); i++)
		password[i] = letters[bytes[i] % 64];
	password[sizeof(bytes)] = '\0';
	explicit_bzero(bytes, sizeof(bytes));
	return true;
}
