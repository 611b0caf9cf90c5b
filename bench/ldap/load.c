/*
 * Load client for bench/ldap.ts: one thread, epoll, requests prepared beforehand. It counts, checks every answer, and
 * reads the CPU time of the server's threads (schedstat, in ns) at both ends of the measured interval.
 *
 *   load PORT PID CONNECTIONS DEPTH WARM_MS RUN_MS MIN_OPS MODE FILE
 *
 * MODE: plain; connect (a connection per request); paged (follows cookies; FILE holds the operation without controls).
 * FILE: per request: u32 length, u32 offset of the 3-octet message id, u32 entries expected (0xffffffff: any),
 * u32 result code expected, octets. Prints one line of JSON.
 *
 * Built with -DWITH_TLS -lssl -lcrypto it speaks ldaps when LOAD_CA, LOAD_CERT and LOAD_KEY name PEM files.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#ifdef WITH_TLS
#include <openssl/err.h>
#include <openssl/ssl.h>
#endif

#define SLOTS 4096
#define ANY 0xffffffffu
#define PAGE 1000

struct request {
  uint32_t length, id_at, entries, code;
  const unsigned char *bytes;
};

struct pending {
  uint32_t id, entries;
  const struct request *request;
  uint64_t sent;
};

struct connection {
  int fd;
#ifdef WITH_TLS
  SSL *ssl;
#endif
  uint32_t listed, next_id;
  unsigned char *in;
  size_t in_length, in_size;
  unsigned char out[1 << 16];
  size_t out_length;
  int writable;
  struct pending pending[SLOTS];
  int in_flight;
  unsigned char cookie[64];
  size_t cookie_length;
};

static struct request *requests;
static size_t request_count, next_request;
static struct connection *connections;
static int connection_count, depth, port, epoll, connect_mode, paged_mode;
static uint64_t ops, entries, bytes_in, bad;
#ifdef WITH_TLS
static SSL_CTX *tls;
#endif
static uint32_t *latencies;
static size_t latency_count;
#define MAX_LATENCIES 4000000

static void die(const char *what) {
  perror(what);
  exit(1);
}

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* CPU time of all threads of a process, in ns. A thread that ends between two readings is lost, so servers must not
 * end threads meanwhile. */
static uint64_t cpu_ns(int pid) {
  char path[300];
  uint64_t sum = 0;
  snprintf(path, sizeof path, "/proc/%d/task", pid);
  DIR *tasks = opendir(path);
  if (!tasks) die(path);
  for (struct dirent *task; (task = readdir(tasks));) {
    if (task->d_name[0] == '.') continue;
    snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", pid, task->d_name);
    FILE *file = fopen(path, "r");
    unsigned long long spent;
    if (file && fscanf(file, "%llu", &spent) == 1) sum += spent;
    if (file) fclose(file);
  }
  closedir(tasks);
  return sum;
}

static void load(const char *name) {
  FILE *file = fopen(name, "rb");
  if (!file) die(name);
  fseek(file, 0, SEEK_END);
  long size = ftell(file);
  rewind(file);
  unsigned char *data = malloc((size_t)size);
  if (!data || fread(data, 1, (size_t)size, file) != (size_t)size) die(name);
  fclose(file);
  for (long at = 0; at < size;) {
    requests = realloc(requests, (request_count + 1) * sizeof *requests);
    struct request *request = &requests[request_count++];
    memcpy(request, data + at, 16);
    request->bytes = data + at + 16;
    at += 16 + request->length;
  }
  if (!request_count) exit(2);
}

static void dial(struct connection *c) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  c->fd = socket(AF_INET, SOCK_STREAM, 0);
  int on = 1;
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(c->fd, (struct sockaddr *)&address, sizeof address)) die("connect");
#ifdef WITH_TLS
  if (tls) {
    if (c->ssl) SSL_free(c->ssl);
    c->ssl = SSL_new(tls);
    SSL_set_fd(c->ssl, c->fd);
    if (SSL_connect(c->ssl) != 1) {
      ERR_print_errors_fp(stderr);
      exit(1);
    }
  }
#endif
  fcntl(c->fd, F_SETFL, O_NONBLOCK);
  c->listed = 0;
  c->in_length = c->out_length = 0;
  c->in_flight = 0;
  c->writable = 1;
  c->cookie_length = 0;
  memset(c->pending, 0, sizeof c->pending);
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event)) die("epoll_ctl");
}

/* Like read and write; -1 with EAGAIN when there is nothing to be had now. */
static ssize_t take_in(struct connection *c, void *to, size_t size) {
#ifdef WITH_TLS
  if (tls) {
    int n = SSL_read(c->ssl, to, (int)size);
    if (n > 0) return n;
    int why = SSL_get_error(c->ssl, n);
    errno = EAGAIN;
    return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? -1 : 0;
  }
#endif
  return read(c->fd, to, size);
}

static ssize_t put_out(struct connection *c, const void *from, size_t size) {
#ifdef WITH_TLS
  if (tls) {
    int n = SSL_write(c->ssl, from, (int)size);
    if (n > 0) return n;
    int why = SSL_get_error(c->ssl, n);
    errno = why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? EAGAIN : EPIPE;
    return -1;
  }
#endif
  return write(c->fd, from, size);
}

static void flush_out(struct connection *c) {
  size_t done = 0;
  while (done < c->out_length && c->writable) {
    ssize_t n = put_out(c, c->out + done, c->out_length - done);
    if (n > 0) done += (size_t)n;
    else if (n < 0 && errno == EAGAIN) c->writable = 0;
    else die("write");
  }
  memmove(c->out, c->out + done, c->out_length - done);
  c->out_length -= done;
}

static size_t header(unsigned char *to, unsigned char tag, size_t length) {
  to[0] = tag;
  if (length < 128) {
    to[1] = (unsigned char)length;
    return 2;
  }
  to[1] = 0x82;
  to[2] = (unsigned char)(length >> 8);
  to[3] = (unsigned char)length;
  return 4;
}

/* A search for the next page: the operation as prepared, with a paging control around the last cookie. */
static size_t build_page(struct connection *c, const struct request *r, uint32_t id, unsigned char *to) {
  static const unsigned char oid[] = "1.2.840.113556.1.4.319";
  unsigned char value[128], control[256], message[4096];
  size_t v = 0, n = 0, m = 0;
  unsigned char inner[96];
  size_t i = 0;
  inner[i++] = 0x02, inner[i++] = 2, inner[i++] = PAGE >> 8, inner[i++] = PAGE & 0xff;
  inner[i++] = 0x04, inner[i++] = (unsigned char)c->cookie_length;
  memcpy(inner + i, c->cookie, c->cookie_length);
  i += c->cookie_length;
  v = header(value, 0x30, i);
  memcpy(value + v, inner, i);
  v += i;
  unsigned char body[224];
  size_t b = header(body, 0x04, sizeof oid - 1);
  memcpy(body + b, oid, sizeof oid - 1);
  b += sizeof oid - 1;
  b += header(body + b, 0x04, v);
  memcpy(body + b, value, v);
  b += v;
  n = header(control, 0x30, b);
  memcpy(control + n, body, b);
  n += b;
  message[m++] = 0x02, message[m++] = 3;
  message[m++] = (unsigned char)(id >> 16), message[m++] = (unsigned char)(id >> 8), message[m++] = (unsigned char)id;
  memcpy(message + m, r->bytes, r->length);
  m += r->length;
  m += header(message + m, 0xa0, n);
  memcpy(message + m, control, n);
  m += n;
  size_t at = header(to, 0x30, m);
  memcpy(to + at, message, m);
  return at + m;
}

static void send_one(struct connection *c) {
  const struct request *r = &requests[next_request];
  next_request = (next_request + 1) % request_count;
  uint32_t id = c->next_id = c->next_id == 0x7fffff ? 1 : c->next_id + 1;
  struct pending *slot = &c->pending[id % SLOTS];
  if (slot->request) {
    fprintf(stderr, "too many in flight\n");
    exit(1);
  }
  *slot = (struct pending){.id = id, .request = r, .sent = now_ns()};
  c->in_flight++;
  if (paged_mode) {
    c->out_length += build_page(c, r, id, c->out + c->out_length);
    return;
  }
  unsigned char *to = c->out + c->out_length;
  memcpy(to, r->bytes, r->length);
  to[r->id_at] = (unsigned char)(id >> 16);
  to[r->id_at + 1] = (unsigned char)(id >> 8);
  to[r->id_at + 2] = (unsigned char)id;
  c->out_length += r->length;
}

static const unsigned char unbind[] = {0x30, 0x05, 0x02, 0x01, 0x01, 0x42, 0x00};

/* Length of the element at p, its header in *head; 0 when incomplete. */
static size_t element(const unsigned char *p, size_t have, size_t *head) {
  if (have < 2) return 0;
  if (p[1] < 0x80) {
    *head = 2;
    return 2u + p[1];
  }
  size_t n = p[1] & 0x7f, length = 0;
  if (n > 4) exit(3);
  if (have < 2 + n) return 0;
  for (size_t i = 0; i < n; i++) length = length << 8 | p[2 + i];
  *head = 2 + n;
  return 2 + n + length;
}

static void take_cookie(struct connection *c, const unsigned char *p, size_t length) {
  c->cookie_length = 0;
  for (size_t at = 0; at + 6 <= length; at++) {
    /* The control's value ends the message: a sequence of size and cookie. */
    if (p[at] != 0x04 || at + 2 + p[at + 1] != length || p[at + 2] != 0x30) continue;
    size_t cookie = at + 4 + 2 + p[at + 5];
    if (cookie + 2 > length || p[cookie + 1] > sizeof c->cookie) exit(4);
    c->cookie_length = p[cookie + 1];
    memcpy(c->cookie, p + cookie + 2, c->cookie_length);
    return;
  }
}

/* One whole message. Returns 1 when the connection's operation is complete and the connection is to be closed. */
static int answer(struct connection *c, const unsigned char *p, size_t length, size_t head) {
  uint32_t id = 0;
  for (size_t i = 0; i < p[head + 1]; i++) id = id << 8 | p[head + 2 + i];
  const unsigned char *op = p + head + 2 + p[head + 1];
  struct pending *slot = &c->pending[id % SLOTS];
  if (!slot->request || slot->id != id) {
    fprintf(stderr, "answer to nothing: id %u tag %02x\n", id, op[0]);
    exit(1);
  }
  if (op[0] == 0x64) {
    slot->entries++;
    entries++;
    return 0;
  }
  size_t op_head = 0;
  element(op, length - (size_t)(op - p), &op_head);
  uint32_t code = op[op_head + 2];
  if (code != slot->request->code || (!paged_mode && slot->request->entries != ANY && slot->entries != slot->request->entries)) {
    if (!bad++) fprintf(stderr, "wrong: code %u, %u entries, expected %u\n", code, slot->entries, slot->request->entries);
  }
  if (paged_mode) {
    take_cookie(c, p, length);
    c->listed += slot->entries;
    if (!c->cookie_length) {
      if (c->listed != slot->request->entries && !bad++) fprintf(stderr, "wrong: %u entries on all pages\n", c->listed);
      c->listed = 0;
    }
  }
  ops++;
  if (latency_count < MAX_LATENCIES) latencies[latency_count++] = (uint32_t)((now_ns() - slot->sent) / 1000);
  slot->request = NULL;
  c->in_flight--;
  return connect_mode;
}

static int by_size(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}

static void read_in(struct connection *c) {
  for (;;) {
    if (c->in_size - c->in_length < 1 << 16) {
      c->in_size = c->in_size * 2 + (1 << 18);
      c->in = realloc(c->in, c->in_size);
    }
    ssize_t n = take_in(c, c->in + c->in_length, c->in_size - c->in_length);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
      fprintf(stderr, "the server hung up\n");
      exit(1);
    }
    bytes_in += (uint64_t)n;
    c->in_length += (size_t)n;
    size_t at = 0, head = 0, size;
    while ((size = element(c->in + at, c->in_length - at, &head)) && size <= c->in_length - at) {
      int finished = answer(c, c->in + at, size, head);
      at += size;
      if (finished) {
        if (put_out(c, unbind, sizeof unbind) < 0) die("unbind");
        close(c->fd);
        dial(c);
        return;
      }
    }
    memmove(c->in, c->in + at, c->in_length - at);
    c->in_length -= at;
  }
}

static void run_until(uint64_t end, uint64_t least) {
  struct epoll_event events[256];
  while (now_ns() < end || ops < least) {
    for (int i = 0; i < connection_count; i++) {
      struct connection *c = &connections[i];
      while (c->in_flight < depth && c->out_length < sizeof c->out / 2) send_one(c);
      if (c->out_length) flush_out(c);
    }
    int n = epoll_wait(epoll, events, 256, 100);
    for (int i = 0; i < n; i++) {
      struct connection *c = events[i].data.ptr;
      if (events[i].events & EPOLLOUT) c->writable = 1;
      if (events[i].events & EPOLLIN) read_in(c);
      /* Only this connection can have room now: the others are looked at when something happens to them. */
      while (c->in_flight < depth && c->out_length < sizeof c->out / 2) send_one(c);
      if (c->out_length) flush_out(c);
    }
  }
}

int main(int argc, char **argv) {
  if (argc != 10) return 64;
  port = atoi(argv[1]);
  int pid = atoi(argv[2]);
  connection_count = atoi(argv[3]);
  depth = atoi(argv[4]);
  uint64_t warm = strtoull(argv[5], NULL, 10) * 1000000, run = strtoull(argv[6], NULL, 10) * 1000000;
  uint64_t least = strtoull(argv[7], NULL, 10);
  connect_mode = !strcmp(argv[8], "connect");
  paged_mode = !strcmp(argv[8], "paged");
  load(argv[9]);
#ifdef WITH_TLS
  if (getenv("LOAD_CA")) {
    tls = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
    if (SSL_CTX_load_verify_locations(tls, getenv("LOAD_CA"), NULL) != 1 ||
        SSL_CTX_use_certificate_file(tls, getenv("LOAD_CERT"), SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_use_PrivateKey_file(tls, getenv("LOAD_KEY"), SSL_FILETYPE_PEM) != 1) {
      ERR_print_errors_fp(stderr);
      return 1;
    }
  }
#endif
  /* Every run begins elsewhere in the list, so that caches see all of it. */
  next_request = (size_t)now_ns() % request_count;
  epoll = epoll_create1(0);
  latencies = malloc(MAX_LATENCIES * sizeof *latencies);
  connections = calloc((size_t)connection_count, sizeof *connections);
  if (!latencies || !connections) die("memory");
  for (int i = 0; i < connection_count; i++) dial(&connections[i]);
  run_until(now_ns() + warm, 0);
  uint64_t ops0 = ops, entries0 = entries, bytes0 = bytes_in, start = now_ns(), cpu = cpu_ns(pid);
  latency_count = 0;
  run_until(start + run, ops0 + least);
  cpu = cpu_ns(pid) - cpu;
  uint64_t wall = now_ns() - start;
  qsort(latencies, latency_count, sizeof *latencies, by_size);
  printf("{\"ops\":%llu,\"entries\":%llu,\"bytes\":%llu,\"bad\":%llu,\"cpuNs\":%llu,\"wallNs\":%llu,\"p50\":%u,\"p99\":%u}\n",
         (unsigned long long)(ops - ops0), (unsigned long long)(entries - entries0), (unsigned long long)(bytes_in - bytes0),
         (unsigned long long)bad, (unsigned long long)cpu, (unsigned long long)wall,
         latency_count ? latencies[latency_count / 2] : 0, latency_count ? latencies[latency_count * 99 / 100] : 0);
  return bad ? 1 : 0;
}
