/* An MCP server over HTTP/1.1 that costs next to nothing; what it answers is in answers.c.
 *
 * POST /json is answered with application/json, POST /sse with an event stream of one event, in chunks. Connections stay open.
 * Prints its port on stdout, and ends when its stdin does. Linux only (epoll). */
#include "answers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct {
    int socket, waiting;
    size_t sent;
    Buffer in, out;
} Connection;

static int poll_set, listener;
static Buffer body;

static void watch(Connection *connection, int operation, unsigned events) {
    struct epoll_event event = {.events = events, .data.ptr = connection};
    epoll_ctl(poll_set, operation, connection->socket, &event);
}

static void end_of(Connection *connection) {
    close(connection->socket);
    free(connection->in.data);
    free(connection->out.data);
    free(connection);
}

static void accept_all(void) {
    int one = 1, accepted;
    while ((accepted = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        Connection *connection = calloc(1, sizeof *connection);
        if (!connection) abort();
        connection->socket = accepted;
        setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        watch(connection, EPOLL_CTL_ADD, EPOLLIN);
    }
}

static size_t content_length(const char *head, const char *end) {
    for (const char *line = head; line && line < end; line = memchr(line, '\n', (size_t)(end - line))) {
        if (*line == '\n') line++;
        if ((size_t)(end - line) > 15 && !strncasecmp(line, "content-length:", 15)) return strtoul(line + 15, NULL, 10);
    }
    return 0;
}

static void put_answer(Buffer *out, int as_events) {
    char head[256];
    if (as_events) {
        static const char before[] = "event: message\ndata: ", after[] = "\n\n";
        snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
            "Transfer-Encoding: chunked\r\n\r\n%zx\r\n", body.size + sizeof before + sizeof after - 2);
        put_text(out, head);
        put_text(out, before);
        put(out, body.data, body.size);
        put_text(out, after);
        put_text(out, "\r\n0\r\n\r\n");
    } else {
        snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
            body.size);
        put_text(out, head);
        put(out, body.data, body.size);
    }
}

static void respond(Buffer *out, const char *head, const char *message, size_t size) {
    if (strncmp(head, "POST ", 5)) {
        put_text(out, "HTTP/1.1 405 Method Not Allowed\r\nAllow: POST\r\nContent-Length: 0\r\n\r\n");
        return;
    }
    body.size = 0;
    answer(&body, message, size);
    if (body.size)
        put_answer(out, !strncmp(head + 5, "/sse", 4));
    else
        put_text(out, "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n");
}

/* Answers every whole request that has come in. */
static void take_requests(Connection *connection) {
    char *at = connection->in.data, *end = at + connection->in.size, *blank;
    while (at < end && (blank = memmem(at, (size_t)(end - at), "\r\n\r\n", 4))) {
        size_t length = content_length(at, blank);
        char *message = blank + 4;
        if ((size_t)(end - message) < length) break;
        respond(&connection->out, at, message, length);
        at = message + length;
    }
    connection->in.size = (size_t)(end - at);
    memmove(connection->in.data, at, connection->in.size);
}

/* Sends what the socket takes; 0 if the connection is gone. */
static int flush(Connection *connection) {
    Buffer *out = &connection->out;
    while (connection->sent < out->size) {
        ssize_t sent = send(connection->socket, out->data + connection->sent, out->size - connection->sent, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) return 0;
        if (sent < 0) break;
        connection->sent += (size_t)sent;
    }
    int waiting = connection->sent < out->size;
    if (!waiting) connection->sent = out->size = 0;
    if (waiting != connection->waiting) watch(connection, EPOLL_CTL_MOD, EPOLLIN | (waiting ? EPOLLOUT : 0));
    connection->waiting = waiting;
    return 1;
}

static void serve(Connection *connection, unsigned events) {
    static char chunk[65536];
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        ssize_t got = recv(connection->socket, chunk, sizeof chunk, 0);
        if (got == 0 || (got < 0 && errno != EAGAIN)) {
            end_of(connection);
            return;
        }
        if (got > 0) put(&connection->in, chunk, (size_t)got);
        take_requests(connection);
    }
    if (!flush(connection)) end_of(connection);
}

static void listen_on_any_port(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&address, length) || listen(listener, 512)) _exit(1);
    getsockname(listener, (struct sockaddr *)&address, &length);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
}

int main(int count, char **arguments) {
    static int standard_input, new_connection;
    struct epoll_event events[256];
    prepare(tools_wanted(count, arguments));
    listen_on_any_port();
    poll_set = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event on_accept = {.events = EPOLLIN, .data.ptr = &new_connection};
    struct epoll_event on_input = {.events = EPOLLIN, .data.ptr = &standard_input};
    epoll_ctl(poll_set, EPOLL_CTL_ADD, listener, &on_accept);
    epoll_ctl(poll_set, EPOLL_CTL_ADD, 0, &on_input);
    for (;;) {
        int ready = epoll_wait(poll_set, events, 256, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.ptr == &standard_input) return 0;
            if (events[i].data.ptr == &new_connection)
                accept_all();
            else
                serve(events[i].data.ptr, events[i].events);
        }
    }
}
