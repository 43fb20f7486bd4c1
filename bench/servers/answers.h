/* What both echo servers answer: one JSON-RPC message in, its answer out, for either era of the protocol.
 *
 * Tools: `echo` {"message": text} gives the text back, `blob` {"size": bytes} gives that many letters, and as many others as
 * are asked for only fill the listing. Knows nothing of pipes and sockets; see stdio_echo.c and http_echo.c. */
#ifndef ANSWERS_H
#define ANSWERS_H

#include <stddef.h>

typedef struct {
    char *data;
    size_t size, room;
} Buffer;

void put(Buffer *out, const char *data, size_t size);
void put_text(Buffer *out, const char *text);

/* Makes the listing of `tools` tools; call once, first. */
void prepare(int tools);

/* Appends the answer to one message, or nothing if it wants none. */
void answer(Buffer *out, const char *message, size_t size);

/* Reads `--tools N` from the arguments; without it there are the two tools that do something. */
int tools_wanted(int count, char **arguments);

#endif
