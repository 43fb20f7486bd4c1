/* See answers.h. The scanner takes well-formed JSON only: the clients under measurement send nothing else. */
#include "answers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *at;
    size_t size;
} Span;

static Buffer listing, blob;

static void reserve(Buffer *out, size_t more) {
    if (out->size + more <= out->room) return;
    while (out->size + more > out->room) out->room = out->room ? out->room * 2 : 65536;
    out->data = realloc(out->data, out->room);
    if (!out->data) abort();
}

void put(Buffer *out, const char *data, size_t size) {
    reserve(out, size);
    memcpy(out->data + out->size, data, size);
    out->size += size;
}

void put_text(Buffer *out, const char *text) { put(out, text, strlen(text)); }

static const char *skip_space(const char *at, const char *end) {
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')) at++;
    return at;
}

static const char *skip_string(const char *at, const char *end) {
    for (at++; at < end && *at != '"'; at++)
        if (*at == '\\') at++;
    return at < end ? at + 1 : end;
}

static const char *skip_value(const char *at, const char *end) {
    if (at < end && *at == '"') return skip_string(at, end);
    int depth = 0;
    while (at < end) {
        if (*at == '"') {
            at = skip_string(at, end);
            continue;
        }
        if (*at == '{' || *at == '[') depth++;
        if (*at == '}' || *at == ']' || *at == ',') {
            if (depth == 0) return at;
            if (*at != ',' && --depth == 0) return at + 1;
        }
        at++;
    }
    return end;
}

/* The value of one member of an object, without looking at the rest; an empty span if it has none of that name. */
static Span member(Span object, const char *name) {
    const char *at = object.at, *end = object.at + object.size;
    size_t length = strlen(name);
    Span none = {NULL, 0};
    at = skip_space(at, end);
    if (at >= end || *at != '{') return none;
    at++;
    while ((at = skip_space(at, end)) < end && *at == '"') {
        const char *key = at + 1, *after = skip_string(at, end);
        int found = (size_t)(after - 1 - key) == length && !memcmp(key, name, length);
        at = skip_space(after, end);
        if (at >= end || *at != ':') return none;
        at = skip_space(at + 1, end);
        after = skip_value(at, end);
        if (found) {
            while (after > at && strchr(" \t\r\n", after[-1])) after--;
            return (Span){at, (size_t)(after - at)};
        }
        at = skip_space(after, end);
        if (at < end && *at == ',') at++;
    }
    return none;
}

static int is(Span value, const char *text) {
    size_t length = strlen(text);
    return value.size == length + 2 && !memcmp(value.at + 1, text, length);
}

void prepare(int tools) {
    char tool[1024];
    put_text(&listing, "{\"resultType\":\"complete\",\"ttlMs\":0,\"cacheScope\":\"private\",\"tools\":["
        "{\"name\":\"echo\",\"description\":\"Give the message back.\",\"inputSchema\":{\"type\":\"object\","
        "\"properties\":{\"message\":{\"type\":\"string\"}},\"required\":[\"message\"]}},"
        "{\"name\":\"blob\",\"description\":\"Give that many letters.\",\"inputSchema\":{\"type\":\"object\","
        "\"properties\":{\"size\":{\"type\":\"integer\",\"minimum\":0}},\"required\":[\"size\"]}}");
    for (int i = 2; i < tools; i++) {
        snprintf(tool, sizeof tool,
            ",{\"name\":\"search_records_%04d\",\"title\":\"Search records %d\",\"description\":\"Search the records of "
            "collection %d by words, newest first, and give their titles, dates and first lines.\",\"inputSchema\":{"
            "\"type\":\"object\",\"properties\":{\"query\":{\"type\":\"string\",\"description\":\"Words to look for\"},"
            "\"limit\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":100,\"default\":20},\"since\":{\"type\":\"string\","
            "\"format\":\"date-time\"},\"fields\":{\"type\":\"array\",\"items\":{\"type\":\"string\",\"enum\":[\"title\","
            "\"date\",\"body\"]}}},\"required\":[\"query\"],\"additionalProperties\":false},\"annotations\":{"
            "\"readOnlyHint\":true,\"openWorldHint\":false}}", i, i, i);
        put_text(&listing, tool);
    }
    put_text(&listing, "]}");
}

int tools_wanted(int count, char **arguments) {
    for (int i = 1; i + 1 < count; i++)
        if (!strcmp(arguments[i], "--tools")) return atoi(arguments[i + 1]);
    return 2;
}

static void put_letters(Buffer *out, size_t size) {
    if (blob.size < size) {
        reserve(&blob, size - blob.size);
        memset(blob.data, 'x', blob.room);
        blob.size = blob.room;
    }
    put_text(out, "\"");
    put(out, blob.data, size);
    put_text(out, "\"");
}

static void call(Buffer *out, Span params) {
    Span name = member(params, "name"), arguments = member(params, "arguments");
    Span message = member(arguments, "message"), size = member(arguments, "size");
    if (is(name, "echo") && message.size) {
        put_text(out, "\"result\":{\"resultType\":\"complete\",\"content\":[{\"type\":\"text\",\"text\":");
        put(out, message.at, message.size);
    } else if (is(name, "blob") && size.size) {
        put_text(out, "\"result\":{\"resultType\":\"complete\",\"content\":[{\"type\":\"text\",\"text\":");
        put_letters(out, strtoul(size.at, NULL, 10));
    } else {
        put_text(out, "\"error\":{\"code\":-32602,\"message\":\"no such tool, or not its arguments\"}");
        return;
    }
    put_text(out, "}]}");
}

#define CAPABILITIES "\"capabilities\":{\"tools\":{}}"
#define SERVER "{\"name\":\"echo\",\"version\":\"1.0\"}"

static void initialize(Buffer *out, Span params) {
    Span version = member(params, "protocolVersion");
    put_text(out, "\"result\":{\"protocolVersion\":");
    put(out, version.at, version.size);
    put_text(out, "," CAPABILITIES ",\"serverInfo\":" SERVER "}");
}

void answer(Buffer *out, const char *text, size_t size) {
    Span message = {text, size}, id = member(message, "id"), method = member(message, "method");
    Span params = member(message, "params");
    if (!id.size || !method.size) return;
    put_text(out, "{\"jsonrpc\":\"2.0\",\"id\":");
    put(out, id.at, id.size);
    put_text(out, ",");
    if (is(method, "tools/call")) {
        call(out, params);
    } else if (is(method, "tools/list")) {
        put_text(out, "\"result\":");
        put(out, listing.data, listing.size);
    } else if (is(method, "server/discover")) {
        put_text(out, "\"result\":{\"resultType\":\"complete\",\"supportedVersions\":[\"2026-07-28\",\"2025-11-25\"],"
            CAPABILITIES ",\"ttlMs\":0,\"cacheScope\":\"private\",\"_meta\":{\"io.modelcontextprotocol/serverInfo\":"
            SERVER "}}");
    } else if (is(method, "initialize")) {
        initialize(out, params);
    } else if (is(method, "ping")) {
        put_text(out, "\"result\":{}");
    } else {
        put_text(out, "\"error\":{\"code\":-32601,\"message\":\"no such method\"}");
    }
    put_text(out, "}");
}
