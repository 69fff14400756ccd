/* api/openapi.c -- /openapi.json: the description of all this (OpenAPI 3.1)
 * SPDX-License-Identifier: Apache-2.0
 *
 * The document is written as it is served; the preprocessor makes the string of it.
 */
#include "api/routes.h"

#define DOCUMENT(...) #__VA_ARGS__

/* clang-format off */
const char OPENAPI[] = DOCUMENT(
{"openapi": "3.1.0",
 "info": {
  "title": "whither",
  "version": ) "\"" WHITHER_VERSION "\"" DOCUMENT(,
  "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
  "description": "Which name was this connection going to? What is said is what was seen in DNS answers; nothing is ever resolved to find out. Times are RFC 3339 in UTC or epoch seconds. In a query '+' stands for itself. Unknown parameters are refused. Errors are application/problem+json (RFC 9457)."},
 "security": [{}, {"token": []}],
 "paths": {
  "/v1/lookup": {
   "get": {
    "summary": "One attribution",
    "operationId": "lookup",
    "parameters": [
     {"name": "src", "in": "query", "required": true, "description": "address of the client", "schema": {"type": "string"}},
     {"name": "dst", "in": "query", "required": true, "description": "address it connected to", "schema": {"type": "string"}},
     {"name": "at", "in": "query", "description": "when the connection began; now where absent", "schema": {"$ref": "#/components/schemas/Time"}},
     {"$ref": "#/components/parameters/cluster"}],
    "responses": {
     "200": {"description": "the attribution", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Lookup"}}}},
     "default": {"$ref": "#/components/responses/Problem"}}},
   "post": {
    "summary": "One attribution for each line, in the same order",
    "operationId": "lookupMany",
    "requestBody": {"required": true, "content": {"application/jsonl": {"schema": {"$ref": "#/components/schemas/Question"}}}},
    "responses": {
     "200": {"description": "one Lookup, or {\"error\": Problem}, for each line that is not empty", "content": {"application/jsonl": {"schema": {"oneOf": [{"$ref": "#/components/schemas/Lookup"}, {"$ref": "#/components/schemas/LineError"}]}}}},
     "default": {"$ref": "#/components/responses/Problem"}}}},
  "/v1/names/{name}": {
   "get": {
    "summary": "Who asked for a name, or got it in a CNAME chain, newest first",
    "operationId": "names",
    "parameters": [
     {"name": "name", "in": "path", "required": true, "schema": {"type": "string"}},
     {"name": "under", "in": "query", "description": "names below it as well", "schema": {"type": "boolean", "default": false}},
     {"$ref": "#/components/parameters/cluster"},
     {"$ref": "#/components/parameters/from"},
     {"$ref": "#/components/parameters/to"},
     {"$ref": "#/components/parameters/limit"},
     {"$ref": "#/components/parameters/cursor"}],
    "responses": {
     "200": {"description": "a page of sightings", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Sightings"}}}},
     "default": {"$ref": "#/components/responses/Problem"}}}},
  "/v1/addresses/{ip}": {
   "get": {
    "summary": "What an address was called, over all clients, newest first",
    "operationId": "addresses",
    "parameters": [
     {"name": "ip", "in": "path", "required": true, "schema": {"type": "string"}},
     {"$ref": "#/components/parameters/cluster"},
     {"$ref": "#/components/parameters/from"},
     {"$ref": "#/components/parameters/to"},
     {"$ref": "#/components/parameters/limit"},
     {"$ref": "#/components/parameters/cursor"}],
    "responses": {
     "200": {"description": "a page of names", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/AddressNames"}}}},
     "default": {"$ref": "#/components/responses/Problem"}}}},
  "/v1/clients/{ip}": {
   "get": {
    "summary": "What a client asked, newest first",
    "operationId": "clients",
    "parameters": [
     {"name": "ip", "in": "path", "required": true, "schema": {"type": "string"}},
     {"$ref": "#/components/parameters/cluster"},
     {"$ref": "#/components/parameters/from"},
     {"$ref": "#/components/parameters/to"},
     {"$ref": "#/components/parameters/limit"},
     {"$ref": "#/components/parameters/cursor"}],
    "responses": {
     "200": {"description": "a page of sightings", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Sightings"}}}},
     "default": {"$ref": "#/components/responses/Problem"}}}},
  "/v1/coverage": {
   "get": {
    "summary": "Whether a span was watched: streams and blind intervals",
    "operationId": "coverage",
    "parameters": [
     {"$ref": "#/components/parameters/cluster"},
     {"name": "from", "in": "query", "description": "an hour before `to` where absent", "schema": {"$ref": "#/components/schemas/Time"}},
     {"$ref": "#/components/parameters/to"}],
    "responses": {
     "200": {"description": "the coverage", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Coverage"}}}},
     "default": {"$ref": "#/components/responses/Problem"}}}},
  "/v1/status": {
   "get": {
    "summary": "Span, size, streams and blind intervals of the index",
    "operationId": "status",
    "parameters": [{"$ref": "#/components/parameters/cluster"}],
    "responses": {
     "200": {"description": "the status", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Status"}}}},
     "default": {"$ref": "#/components/responses/Problem"}}}},
  "/v1/doctor": {
   "get": {
    "summary": "What is wrong with the feed, with evidence and remedy",
    "operationId": "doctor",
    "parameters": [
     {"$ref": "#/components/parameters/cluster"},
     {"name": "window", "in": "query", "description": "how far back to look, as 24h or 7d; 24h where absent", "schema": {"type": "string"}}],
    "responses": {
     "200": {"description": "the checks with their findings", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Doctor"}}}},
     "default": {"$ref": "#/components/responses/Problem"}}}},
  "/v1/flows": {
   "post": {
    "summary": "Flow records from a log shipper, named",
    "description": "Takes what Vector, Fluent Bit and Alloy send: JSON lines, arrays of objects, objects one after another, any text format of `whither join --help`, Loki's JSON, and Loki's push protocol (application/x-protobuf with Snappy). Content-Encoding may be gzip, zstd or deflate. DNS responses among the records go to the index. What could not be read is counted in Whither-Records and logged; only a body without one record that could be read is a 400.",
    "operationId": "flows",
    "parameters": [
     {"name": "from", "in": "query", "description": "the format; by content where absent", "schema": {"type": "string"}},
     {"name": "wait", "in": "query", "description": "how long to hold the reply until every sender has been heard past the flows; at most --settle", "schema": {"type": "string", "examples": ["5s"]}},
     {"name": "reply", "in": "query", "description": "none: 204 without a body", "schema": {"enum": ["ecs", "none"], "default": "ecs"}},
     {"$ref": "#/components/parameters/cluster"}],
    "requestBody": {"required": true, "content": {"application/x-ndjson": {}, "application/json": {}, "text/plain": {}, "application/x-protobuf": {}}},
    "responses": {
     "200": {"description": "one ECS record for each flow, in their order", "headers": {"Whither-Records": {"$ref": "#/components/headers/Records"}}, "content": {"application/jsonl": {"schema": {"type": "object", "properties": {"attribution": {"$ref": "#/components/schemas/Lookup"}}}}}},
     "204": {"description": "with reply=none", "headers": {"Whither-Records": {"$ref": "#/components/headers/Records"}}},
     "default": {"$ref": "#/components/responses/Problem"}}}},
  "/v1/ingest": {
   "post": {
    "summary": "Load a Frame Streams capture of dnstap into the index",
    "operationId": "ingest",
    "parameters": [
     {"$ref": "#/components/parameters/cluster"},
     {"name": "from", "in": "query", "description": "with `to`: what the capture covers; its first to its last frame where absent", "schema": {"$ref": "#/components/schemas/Time"}},
     {"name": "to", "in": "query", "schema": {"$ref": "#/components/schemas/Time"}}],
    "requestBody": {"required": true, "content": {"application/octet-stream": {}}},
    "responses": {
     "200": {"description": "what was loaded; everything is committed", "content": {"application/json": {"schema": {"type": "object"}}}},
     "default": {"$ref": "#/components/responses/Problem"}}}},
  "/metrics": {
   "get": {
    "summary": "Prometheus metrics",
    "operationId": "metrics",
    "security": [],
    "responses": {
     "200": {"description": "the text exposition format", "content": {"text/plain": {"schema": {"type": "string"}}}},
     "default": {"$ref": "#/components/responses/Problem"}}}},
  "/healthz": {
   "get": {
    "summary": "Liveness",
    "operationId": "healthz",
    "security": [],
    "responses": {"200": {"description": "alive", "content": {"text/plain": {"schema": {"type": "string"}}}}}}},
  "/readyz": {
   "get": {
    "summary": "Readiness",
    "operationId": "readyz",
    "security": [],
    "responses": {
     "200": {"description": "ready", "content": {"text/plain": {"schema": {"type": "string"}}}},
     "503": {"$ref": "#/components/responses/Problem"}}}},
  "/openapi.json": {
   "get": {
    "summary": "This document",
    "operationId": "openapi",
    "responses": {
     "200": {"description": "this document", "content": {"application/json": {"schema": {"type": "object"}}}},
     "default": {"$ref": "#/components/responses/Problem"}}}}},
 "components": {
  "securitySchemes": {
   "token": {"type": "http", "scheme": "bearer", "description": "the token of --http-token-file; always needed beyond loopback"}},
  "headers": {
   "Records": {"description": "how many records there were of each kind, as a dictionary (RFC 8941): flows, left-out, dns, bad", "schema": {"type": "string", "examples": ["flows=120, left-out=17, dns=4, bad=0"]}}},
  "parameters": {
   "cluster": {"name": "cluster", "in": "query", "description": "the service's own cluster where absent", "schema": {"type": "string", "minLength": 1, "maxLength": 63}},
   "from": {"name": "from", "in": "query", "description": "everything there is where absent", "schema": {"$ref": "#/components/schemas/Time"}},
   "to": {"name": "to", "in": "query", "description": "now where absent", "schema": {"$ref": "#/components/schemas/Time"}},
   "limit": {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}},
   "cursor": {"name": "cursor", "in": "query", "description": "the `next` of the page before", "schema": {"type": "string"}}},
  "responses": {
   "Problem": {
    "description": "400 (field names what is wrong), 401, 403, 404, 405 (Allow), 413, 414, 429 (Retry-After), 500, 503",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}},
  "schemas": {
   "Time": {"description": "RFC 3339, or epoch seconds with an optional fraction", "type": "string", "examples": ["2026-05-22T10:00:01.5Z", "1779444001.5"]},
   "Problem": {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
     "type": {"type": "string"},
     "title": {"type": "string"},
     "status": {"type": "integer"},
     "detail": {"type": "string"},
     "field": {"type": "string", "description": "the parameter, header or key at fault"}}},
   "LineError": {"type": "object", "required": ["error"], "properties": {"error": {"$ref": "#/components/schemas/Problem"}}},
   "Question": {
    "type": "object",
    "required": ["src", "dst"],
    "properties": {
     "src": {"type": "string"},
     "dst": {"type": "string"},
     "at": {"type": ["string", "number", "null"], "description": "now where absent"},
     "end": {"type": ["string", "number", "null"], "description": "end of an aggregated or ended flow"},
     "shows_start": {"type": ["boolean", "null"], "default": true, "description": "the record shows the connection's start"},
     "aggregated": {"type": ["boolean", "null"], "default": false, "description": "one record for several connections"},
     "alternate": {"type": ["string", "null"], "description": "another address of the destination: of a service and the pod behind it the other one"},
     "not_before": {"type": ["string", "number", "null"], "description": "the source address was somebody else's until then"},
     "own_cluster": {"type": ["string", "null"], "description": "asked in where anything is known of it, else `cluster`"},
     "src_kind": {"enum": ["pod", "service", "node", null]},
     "src_namespace": {"type": ["string", "null"]},
     "src_pod": {"type": ["string", "null"]},
     "dst_kind": {"enum": ["pod", "service", "node", null]},
     "dst_namespace": {"type": ["string", "null"]},
     "dst_pod": {"type": ["string", "null"]},
     "dst_service": {"type": ["string", "null"]},
     "cluster": {"type": ["string", "null"]}}},
   "Candidate": {
    "type": "object",
    "properties": {
     "name": {"type": "string"},
     "asked": {"type": "string"},
     "live": {"type": "boolean"},
     "last": {"type": "string", "format": "date-time"},
     "age_ms": {"type": "integer", "description": "negative after the start"},
     "ttl_s": {"type": "integer"},
     "count": {"type": "integer"},
     "chain": {"type": "array", "items": {"type": "string"}},
     "via": {"enum": ["client", "cname", "late", "shared", "srv"]},
     "source": {"$ref": "#/components/schemas/Source"},
     "clients": {"type": "integer", "description": "with via shared: different clients that got it"}}},
   "Lookup": {
    "type": "object",
    "required": ["verdict", "candidates", "domain"],
    "properties": {
     "verdict": {"enum": ["unjoinable", "internal", "resolved", "stale", "shared", "ip-only", "blind"]},
     "reason": {"type": "string"},
     "owner_known": {"type": "boolean"},
     "coverage": {"enum": ["known", "assumed"]},
     "ambiguous": {"type": "boolean"},
     "age_ms": {"type": "integer"},
     "candidates": {"type": "array", "items": {"$ref": "#/components/schemas/Candidate"}},
     "left_out": {"type": "integer"},
     "source": {"type": "object", "description": "where the owner of the source address is known", "properties": {
      "k8s": {"$ref": "#/components/schemas/Owner"}}},
     "destination": {"type": "object", "description": "where the destination is a pod, service or node", "properties": {
      "kind": {"enum": ["pod", "service", "node"]},
      "k8s": {"$ref": "#/components/schemas/Owner"}}},
     "domain": {"type": ["string", "null"]}}},
   "Owner": {
    "type": "object",
    "properties": {
     "namespace": {"type": "string"},
     "pod": {"type": "string"},
     "service": {"type": "string"},
     "workload": {"type": "string"},
     "node": {"type": "string"}}},
   "Source": {"enum": ["hubble", "zeek", "suricata"], "description": "who saw it where it was not dnstap"},
   "Sighting": {
    "type": "object",
    "properties": {
     "client": {"type": "string"},
     "asked": {"type": "string"},
     "via": {"enum": ["client", "srv"]},
     "source": {"$ref": "#/components/schemas/Source"},
     "chain": {"type": "array", "items": {"type": "string"}},
     "addresses": {"type": "array", "items": {"type": "string"}, "maxItems": 64},
     "addresses_left_out": {"type": "integer"},
     "first": {"type": "string", "format": "date-time"},
     "last": {"type": "string", "format": "date-time"},
     "expiry": {"type": "string", "format": "date-time"},
     "count": {"type": "integer"},
     "approximate": {"type": "boolean", "description": "not every answer time is kept"}}},
   "Sightings": {
    "type": "object",
    "properties": {
     "name": {"type": "string"},
     "under": {"type": "boolean"},
     "client": {"type": "string"},
     "asked": {"type": "boolean", "description": "the client was seen asking in the span"},
     "capped": {"type": "boolean", "description": "it added more than one client may, the excess is not there"},
     "cluster": {"type": "string"},
     "sightings": {"type": "array", "items": {"$ref": "#/components/schemas/Sighting"}},
     "next": {"type": ["string", "null"]}}},
   "AddressNames": {
    "type": "object",
    "properties": {
     "address": {"type": "string"},
     "cluster": {"type": "string"},
     "names": {"type": "array", "items": {
      "type": "object",
      "properties": {
       "address": {"type": "string"},
       "asked": {"type": "string"},
       "via": {"enum": ["client", "srv"]},
       "source": {"$ref": "#/components/schemas/Source"},
       "chain": {"type": "array", "items": {"type": "string"}},
       "clients": {"type": "integer"},
       "clients_at_least": {"type": "boolean", "description": "counting stopped there"},
       "last": {"type": "string", "format": "date-time"},
       "expiry": {"type": "string", "format": "date-time"},
       "count": {"type": "integer"}}}},
     "next": {"type": ["string", "null"]}}},
   "Stream": {
    "type": "object",
    "properties": {
     "kind": {"enum": ["live", "capture", "partial"], "description": "partial: it sees some of the answers and covers no time"},
     "end": {"enum": ["open", "stopped", "cut"]},
     "cluster": {"type": "string"},
     "identity": {"type": "string"},
     "version": {"type": "string"},
     "peer": {"type": "string"},
     "from": {"type": ["string", "null"], "format": "date-time"},
     "committed": {"type": ["string", "null"], "format": "date-time", "description": "every frame up to here is in the index"}}},
   "Blind": {
    "type": "object",
    "properties": {
     "from": {"type": ["string", "null"], "format": "date-time"},
     "to": {"type": ["string", "null"], "format": "date-time"},
     "open": {"type": "boolean"},
     "cluster": {"type": "string"},
     "sender": {"type": "string", "description": "identity, empty where it concerns all"},
     "reason": {"type": "string"},
     "lost": {"type": "integer", "description": "answers known to be lost, 0 if unknown"}}},
   "Coverage": {
    "type": "object",
    "properties": {
     "cluster": {"type": "string"},
     "from": {"type": "string", "format": "date-time"},
     "to": {"type": "string", "format": "date-time"},
     "coverage": {"enum": ["whole", "assumed", "gap", "unsettled"]},
     "expected": {"type": ["integer", "null"], "description": "senders expected, null where not fixed"},
     "streams": {"type": "array", "items": {"$ref": "#/components/schemas/Stream"}},
     "streams_left_out": {"type": "integer"},
     "blind": {"type": "array", "items": {"$ref": "#/components/schemas/Blind"}},
     "blind_left_out": {"type": "integer"}}},
   "Doctor": {
    "type": "object",
    "required": ["cluster", "from", "to", "worst", "checks", "left_out"],
    "properties": {
     "cluster": {"type": "string"},
     "from": {"type": "string", "format": "date-time"},
     "to": {"type": "string", "format": "date-time"},
     "worst": {"$ref": "#/components/schemas/Severity"},
     "checks": {"type": "array", "items": {
      "type": "object",
      "required": ["check", "title", "result", "findings"],
      "properties": {
       "check": {"type": "string"},
       "title": {"type": "string", "description": "what is well where nothing is found"},
       "result": {"$ref": "#/components/schemas/Severity"},
       "findings": {"type": "array", "items": {
        "type": "object",
        "required": ["severity", "subject", "evidence", "consequence", "remedy"],
        "properties": {
         "severity": {"$ref": "#/components/schemas/Severity"},
         "subject": {"type": "string", "description": "a sender, or empty"},
         "evidence": {"type": "string"},
         "consequence": {"type": "string"},
         "remedy": {"type": "string"}}}}}}},
     "left_out": {"type": "integer", "description": "findings beyond those listed"}}},
   "Severity": {"type": "string", "enum": ["ok", "note", "warning", "error"]},
   "Status": {
    "type": "object",
    "properties": {
     "version": {"type": "string"},
     "now": {"type": "string", "format": "date-time"},
     "span": {"type": "object", "properties": {
      "first": {"type": ["string", "null"], "format": "date-time"},
      "last": {"type": ["string", "null"], "format": "date-time"}}},
     "alive": {"type": ["string", "null"], "format": "date-time", "description": "the writer's last commit"},
     "windows": {"type": "integer"},
     "bytes": {"type": "integer"},
     "sightings": {"type": "integer"},
     "answers": {"type": "integer"},
     "times": {"type": "integer"},
     "clients": {"type": "integer"},
     "names": {"type": "integer"},
     "answer_sets": {"type": "integer"},
     "streams": {"type": "array", "items": {"$ref": "#/components/schemas/Stream"}},
     "streams_left_out": {"type": "integer"},
     "blind": {"type": "array", "items": {"$ref": "#/components/schemas/Blind"}},
     "blind_left_out": {"type": "integer"},
     "owners": {"type": "object", "description": "where any owner of an address is known", "properties": {
      "intervals": {"type": "integer"},
      "open": {"type": "integer", "description": "not ended"},
      "hints": {"type": "integer", "description": "what a DNS server said of its clients"},
      "latest": {"type": ["string", "null"], "format": "date-time", "description": "the last that is known of any"},
      "forgotten": {"type": "integer", "description": "because the table was full"},
      "refused": {"type": "integer", "description": "because it was full of owners that have not ended"}}},
     "watches": {"type": "array", "description": "of the Kubernetes API", "items": {"type": "object", "properties": {
      "kind": {"enum": ["pods", "services", "nodes"]},
      "state": {"enum": ["listing", "watching", "waiting"]},
      "complete": {"type": "boolean", "description": "all were listed once"},
      "heard": {"type": ["string", "null"], "format": "date-time", "description": "the API's last word"},
      "problem": {"type": "string", "description": "of the last request, empty where there is none"}}}}}}}}}
);
/* clang-format on */

void openapi_get(struct request *request)
{
    buf_str(request_body(request), OPENAPI);
    buf_char(request_body(request), '\n');
}
