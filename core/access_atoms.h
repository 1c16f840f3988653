/* SPDX-License-Identifier: MIT */
/*
 * access_atoms - the atoms of the access log's format. Private to access_*.c.
 */
#ifndef GCORN_CORE_ACCESS_ATOMS_H
#define GCORN_CORE_ACCESS_ATOMS_H

/* Gunicorn's have one letter, gcorn's own a word. */
#define ACCESS_ATOMS(X)                                                        \
    X("h", ADDRESS)                                                            \
    X("l", DASH)                                                               \
    X("u", USER)                                                               \
    X("t", DATE)                                                               \
    X("r", REQUEST_LINE)                                                       \
    X("m", METHOD)                                                             \
    X("U", PATH)                                                               \
    X("q", QUERY)                                                              \
    X("H", PROTOCOL)                                                           \
    X("s", STATUS)                                                             \
    X("B", BYTES_SENT)                                                         \
    X("b", BYTES_SENT)                                                         \
    X("f", REFERER)                                                            \
    X("a", USER_AGENT)                                                         \
    X("T", SECONDS)                                                            \
    X("D", MICROSECONDS)                                                       \
    X("M", MILLISECONDS)                                                       \
    X("L", DECIMAL_SECONDS)                                                    \
    X("p", PID)                                                                \
    X("worker", WORKER)                                                        \
    X("interpreter", INTERPRETER)                                              \
    X("cpu", CPUS)                                                             \
    X("node", NODE)                                                            \
    X("queue", QUEUE)                                                          \
    X("app", APPLICATION)                                                      \
    X("cpu_time", CPU_TIME)                                                    \
    X("bytes_in", BYTES_IN)                                                    \
    X("request_id", REQUEST_ID)                                                \
    X("peer", PEER)                                                            \
    X("connection", CONNECTION)                                                \
    X("connection_requests", CONNECTION_REQUESTS)                              \
    X("tls", TLS)

enum atom {
    ATOM_LITERAL,
    ATOM_ADDRESS,
    ATOM_DASH,
    ATOM_USER,
    ATOM_DATE,
    ATOM_REQUEST_LINE,
    ATOM_METHOD,
    ATOM_PATH,
    ATOM_QUERY,
    ATOM_PROTOCOL,
    ATOM_STATUS,
    ATOM_BYTES_SENT,
    ATOM_REFERER,
    ATOM_USER_AGENT,
    ATOM_SECONDS,
    ATOM_MICROSECONDS,
    ATOM_MILLISECONDS,
    ATOM_DECIMAL_SECONDS,
    ATOM_PID,
    ATOM_WORKER,
    ATOM_INTERPRETER,
    ATOM_CPUS,
    ATOM_NODE,
    ATOM_QUEUE,
    ATOM_APPLICATION,
    ATOM_CPU_TIME,
    ATOM_BYTES_IN,
    ATOM_REQUEST_ID,
    ATOM_PEER,
    ATOM_CONNECTION,
    ATOM_CONNECTION_REQUESTS,
    ATOM_TLS,
    ATOM_REQUEST_FIELD,
    ATOM_RESPONSE_FIELD,
    ATOM_TARGET, /* these two only as variables of environ */
    ATOM_PORT,
};
#endif
