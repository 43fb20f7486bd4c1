/* An MCP server over stdin and stdout that costs next to nothing; what it answers is in answers.c. Ends with stdin. */
#include "answers.h"

#include <string.h>
#include <unistd.h>

static void write_all(const char *data, size_t size) {
    while (size) {
        ssize_t written = write(1, data, size);
        if (written <= 0) _exit(0);
        data += written;
        size -= (size_t)written;
    }
}

int main(int count, char **arguments) {
    static char chunk[65536];
    Buffer in = {0}, out = {0};
    ssize_t got;
    prepare(tools_wanted(count, arguments));
    while ((got = read(0, chunk, sizeof chunk)) > 0) {
        put(&in, chunk, (size_t)got);
        char *line = in.data, *end = in.data + in.size, *stop;
        while ((stop = memchr(line, '\n', (size_t)(end - line)))) {
            size_t before = out.size;
            answer(&out, line, (size_t)(stop - line));
            if (out.size > before) put_text(&out, "\n");
            line = stop + 1;
        }
        in.size = (size_t)(end - line);
        memmove(in.data, line, in.size);
        write_all(out.data, out.size);
        out.size = 0;
    }
    return 0;
}
