


SELECT pg_catalog.set_config('search_path', '', false);


CREATE SCHEMA dbos;



CREATE FUNCTION dbos.enqueue_workflow(workflow_name text, queue_name text, positional_args json[] DEFAULT ARRAY[]::json[], named_args json DEFAULT '{}'::json, class_name text DEFAULT NULL::text, config_name text DEFAULT NULL::text, workflow_id text DEFAULT NULL::text, app_version text DEFAULT NULL::text, timeout_ms bigint DEFAULT NULL::bigint, deadline_epoch_ms bigint DEFAULT NULL::bigint, deduplication_id text DEFAULT NULL::text, priority integer DEFAULT NULL::integer, queue_partition_key text DEFAULT NULL::text, authenticated_user text DEFAULT NULL::text, authenticated_roles text DEFAULT NULL::text, delay_until_epoch_ms bigint DEFAULT NULL::bigint, application_name text DEFAULT NULL::text) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    v_workflow_id TEXT;
    v_serialized_inputs TEXT;
    v_owner_xid TEXT;
    v_now BIGINT;
    v_recovery_attempts INT4 := 0;
    v_priority INT4;
    v_status TEXT;
BEGIN

    -- Validate required parameters
    IF workflow_name IS NULL OR workflow_name = '' THEN
        RAISE EXCEPTION 'Workflow name cannot be null or empty';
    END IF;
    IF queue_name IS NULL OR queue_name = '' THEN
        RAISE EXCEPTION 'Queue name cannot be null or empty';
    END IF;
    IF named_args IS NOT NULL AND jsonb_typeof(named_args::jsonb) != 'object' THEN
        RAISE EXCEPTION 'Named args must be a JSON object';
    END IF;
    IF workflow_id IS NOT NULL AND workflow_id = '' THEN
        RAISE EXCEPTION 'Workflow ID cannot be an empty string if provided.';
    END IF;
    IF delay_until_epoch_ms IS NOT NULL AND delay_until_epoch_ms < 0 THEN
        RAISE EXCEPTION 'delay_until_epoch_ms must be >= 0';
    END IF;

    v_workflow_id := COALESCE(workflow_id, gen_random_uuid()::TEXT);
    v_owner_xid := gen_random_uuid()::TEXT;
    v_priority := COALESCE(priority, 0);
    v_serialized_inputs := json_build_object(
        'positionalArgs', positional_args,
        'namedArgs', named_args
    )::TEXT;
    v_now := EXTRACT(epoch FROM now()) * 1000;
    v_status := CASE WHEN delay_until_epoch_ms IS NULL THEN 'ENQUEUED' ELSE 'DELAYED' END;

    INSERT INTO "dbos".workflow_status (
        workflow_uuid, status,
        name, class_name, config_name,
        queue_name, deduplication_id, priority, queue_partition_key,
        application_version,
        created_at, updated_at, recovery_attempts,
        workflow_timeout_ms, workflow_deadline_epoch_ms,
        parent_workflow_id, owner_xid, serialization,
        authenticated_user, authenticated_roles,
        delay_until_epoch_ms, application_name
    ) VALUES (
        v_workflow_id, v_status,
        workflow_name, class_name, config_name,
        queue_name, deduplication_id, v_priority, queue_partition_key,
        app_version,
        v_now, v_now, v_recovery_attempts,
        timeout_ms, deadline_epoch_ms,
        NULL, v_owner_xid, 'portable_json',
        authenticated_user, authenticated_roles,
        delay_until_epoch_ms, application_name
    )
    ON CONFLICT (workflow_uuid)
    DO UPDATE SET
        updated_at = EXCLUDED.updated_at;

    INSERT INTO "dbos".workflow_input (
        workflow_uuid, inputs, retention_timestamp
    ) VALUES (
        v_workflow_id, v_serialized_inputs, v_now
    )
    ON CONFLICT (workflow_uuid) DO NOTHING;

    RETURN v_workflow_id;

EXCEPTION
    WHEN unique_violation THEN
        RAISE EXCEPTION 'DBOS queue duplicated'
            USING DETAIL = format('Workflow %s with queue %s and deduplication ID %s already exists', v_workflow_id, queue_name, deduplication_id),
                ERRCODE = 'unique_violation';
END;
$$;



CREATE FUNCTION dbos.notifications_function() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    payload text := NEW.destination_uuid || '::' || NEW.topic;
BEGIN
    PERFORM pg_notify('dbos_notifications_channel', payload);
    RETURN NEW;
END;
$$;



CREATE FUNCTION dbos.send_message(destination_id text, message json, topic text DEFAULT NULL::text, message_id text DEFAULT NULL::text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    v_topic TEXT := COALESCE(topic, '__null__topic__');
    v_message_id TEXT := COALESCE(message_id, gen_random_uuid()::TEXT);
BEGIN
    INSERT INTO "dbos".notifications (
        destination_uuid, topic, message, message_uuid, serialization
    ) VALUES (
        destination_id, v_topic, message, v_message_id, 'portable_json'
    )
    ON CONFLICT (message_uuid) DO NOTHING;
EXCEPTION
    WHEN foreign_key_violation THEN
        RAISE EXCEPTION 'DBOS non-existent workflow'
            USING DETAIL = format('Destination workflow %s does not exist', destination_id),
                ERRCODE = 'foreign_key_violation';
END;
$$;





CREATE TABLE dbos.application_versions (
    version_id text NOT NULL,
    version_name text NOT NULL,
    version_timestamp bigint DEFAULT ((EXTRACT(epoch FROM now()) * 1000.0))::bigint NOT NULL,
    created_at bigint DEFAULT ((EXTRACT(epoch FROM now()) * 1000.0))::bigint NOT NULL,
    application_name text
);



CREATE TABLE dbos.dbos_migrations (
    version bigint NOT NULL
);



CREATE TABLE dbos.event_dispatch_kv (
    service_name text NOT NULL,
    workflow_fn_name text NOT NULL,
    key text NOT NULL,
    value text,
    update_seq numeric(38,0),
    update_time numeric(38,15)
);



CREATE TABLE dbos.notifications (
    message_uuid text DEFAULT gen_random_uuid() NOT NULL,
    destination_uuid text NOT NULL,
    topic text,
    message text NOT NULL,
    created_at_epoch_ms bigint DEFAULT ((EXTRACT(epoch FROM now()) * 1000.0))::bigint NOT NULL,
    serialization text,
    consumed boolean DEFAULT false NOT NULL,
    consumed_by_function_id integer
);



CREATE TABLE dbos.operation_outputs (
    workflow_uuid text NOT NULL,
    function_id integer NOT NULL,
    function_name text DEFAULT ''::text NOT NULL,
    output text,
    error text,
    child_workflow_id text,
    started_at_epoch_ms bigint,
    completed_at_epoch_ms bigint,
    serialization text,
    application_name text,
    retention_timestamp bigint DEFAULT ((EXTRACT(epoch FROM now()) * 1000.0))::bigint NOT NULL
);



CREATE TABLE dbos.queues (
    queue_id text DEFAULT (gen_random_uuid())::text NOT NULL,
    name text NOT NULL,
    concurrency integer,
    worker_concurrency integer,
    rate_limit_max integer,
    rate_limit_period_sec double precision,
    priority_enabled boolean DEFAULT false NOT NULL,
    partition_queue boolean DEFAULT false NOT NULL,
    polling_interval_sec double precision DEFAULT 1.0 NOT NULL,
    created_at bigint DEFAULT ((EXTRACT(epoch FROM now()) * 1000.0))::bigint NOT NULL,
    updated_at bigint DEFAULT ((EXTRACT(epoch FROM now()) * 1000.0))::bigint NOT NULL,
    application_name text,
    partition_concurrency integer,
    partition_worker_concurrency integer,
    partition_rate_limit_max integer,
    partition_rate_limit_period_sec double precision
);



CREATE TABLE dbos.streams (
    workflow_uuid text NOT NULL,
    key text NOT NULL,
    value text NOT NULL,
    "offset" integer NOT NULL,
    function_id integer DEFAULT 0 NOT NULL,
    serialization text
);



CREATE TABLE dbos.workflow_events (
    workflow_uuid text NOT NULL,
    key text NOT NULL,
    value text NOT NULL,
    serialization text
);



CREATE TABLE dbos.workflow_events_history (
    workflow_uuid text NOT NULL,
    function_id integer NOT NULL,
    key text NOT NULL,
    value text NOT NULL,
    serialization text
);



CREATE TABLE dbos.workflow_input (
    workflow_uuid text NOT NULL,
    inputs text,
    retention_timestamp bigint DEFAULT ((EXTRACT(epoch FROM now()) * 1000.0))::bigint NOT NULL
);



CREATE TABLE dbos.workflow_output (
    workflow_uuid text NOT NULL,
    output text,
    error text,
    retention_timestamp bigint DEFAULT ((EXTRACT(epoch FROM now()) * 1000.0))::bigint NOT NULL
);



CREATE TABLE dbos.workflow_schedules (
    schedule_id text NOT NULL,
    schedule_name text NOT NULL,
    workflow_name text NOT NULL,
    workflow_class_name text,
    schedule text NOT NULL,
    status text DEFAULT 'ACTIVE'::text NOT NULL,
    context text NOT NULL,
    last_fired_at text,
    automatic_backfill boolean DEFAULT false NOT NULL,
    cron_timezone text,
    queue_name text,
    application_name text
);



CREATE TABLE dbos.workflow_status (
    workflow_uuid text NOT NULL,
    status text,
    name text,
    authenticated_user text,
    assumed_role text,
    authenticated_roles text,
    request text,
    output text,
    error text,
    executor_id text,
    created_at bigint DEFAULT ((EXTRACT(epoch FROM now()) * 1000.0))::bigint NOT NULL,
    updated_at bigint DEFAULT ((EXTRACT(epoch FROM now()) * 1000.0))::bigint NOT NULL,
    application_version text,
    application_id text,
    class_name character varying(255) DEFAULT NULL::character varying,
    config_name character varying(255) DEFAULT NULL::character varying,
    recovery_attempts bigint DEFAULT 0,
    queue_name text,
    workflow_timeout_ms bigint,
    workflow_deadline_epoch_ms bigint,
    inputs text,
    started_at_epoch_ms bigint,
    deduplication_id text,
    priority integer DEFAULT 0 NOT NULL,
    queue_partition_key text,
    forked_from text,
    owner_xid text,
    parent_workflow_id text,
    serialization text,
    delay_until_epoch_ms bigint,
    was_forked_from boolean DEFAULT false NOT NULL,
    rate_limited boolean DEFAULT false NOT NULL,
    completed_at bigint,
    attributes jsonb,
    schedule_name text,
    debounce_deadline_epoch_ms bigint,
    is_debounced boolean DEFAULT false NOT NULL,
    application_name text,
    creator_xid text
);



CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);



CREATE TABLE public.artifacts (
    run_id character varying(40) NOT NULL,
    kind character varying(16) NOT NULL,
    piece integer NOT NULL,
    content bytea NOT NULL,
    attempt integer NOT NULL
);



CREATE TABLE public.events (
    session_id character varying(40) NOT NULL,
    seq integer NOT NULL,
    at timestamp with time zone NOT NULL,
    type character varying(40) NOT NULL,
    run_id character varying(40),
    data json NOT NULL
);



CREATE TABLE public.idempotency_keys (
    issuer character varying(512) NOT NULL,
    subject character varying(512) NOT NULL,
    key character varying(255) NOT NULL,
    fingerprint character varying(64) NOT NULL,
    answer json NOT NULL,
    created_at timestamp with time zone NOT NULL
);



CREATE TABLE public.runs (
    id character varying(40) NOT NULL,
    session_id character varying(40) NOT NULL,
    number integer NOT NULL,
    state character varying(16) NOT NULL,
    reason character varying(32),
    message text,
    instruction json NOT NULL,
    retry_of character varying(40),
    attempt integer NOT NULL,
    worker character varying(64),
    losses integer NOT NULL,
    changed boolean,
    head_sha character varying(64),
    exit_code integer,
    output_truncated boolean NOT NULL,
    pull_request json,
    cancel_requested_at timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    started_at timestamp with time zone,
    ended_at timestamp with time zone,
    start_sha character varying(64),
    pushing_sha character varying(64)
);



CREATE TABLE public.schedules (
    id character varying(40) NOT NULL,
    issuer character varying(512) NOT NULL,
    subject character varying(512) NOT NULL,
    schedule character varying(100) NOT NULL,
    timezone character varying(64) NOT NULL,
    repo character varying(200) NOT NULL,
    target_branch character varying(255),
    title character varying(256),
    labels json NOT NULL,
    submodules json NOT NULL,
    allow_workflows boolean NOT NULL,
    environment character varying(32) NOT NULL,
    instruction json NOT NULL,
    claims json NOT NULL,
    paused boolean NOT NULL,
    next_at timestamp with time zone,
    last_at timestamp with time zone,
    last_session_id character varying(40),
    skipped_because text,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL
);



CREATE TABLE public.sessions (
    id character varying(40) NOT NULL,
    issuer character varying(512) NOT NULL,
    subject character varying(512) NOT NULL,
    repo character varying(200) NOT NULL,
    repo_key character varying(200) NOT NULL,
    target_branch character varying(255),
    branch character varying(255) NOT NULL,
    title character varying(256) NOT NULL,
    labels json NOT NULL,
    submodules json NOT NULL,
    allow_workflows boolean NOT NULL,
    environment character varying(32) NOT NULL,
    state character varying(16) NOT NULL,
    archived boolean NOT NULL,
    pull_request json,
    pushed_sha character varying(64),
    last_seq integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    schedule_id character varying(40),
    scheduled_for timestamp with time zone,
    claims json
);



CREATE TABLE public.steps (
    run_id character varying(40) NOT NULL,
    name character varying(16) NOT NULL,
    "position" integer NOT NULL,
    state character varying(16) NOT NULL,
    started_at timestamp with time zone NOT NULL,
    seconds double precision
);



CREATE TABLE public.tickets (
    number bigint NOT NULL,
    run_id character varying(40) NOT NULL,
    owner character varying(32) NOT NULL,
    has_place boolean NOT NULL,
    waiting_since timestamp with time zone NOT NULL
);



CREATE SEQUENCE public.tickets_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;



ALTER SEQUENCE public.tickets_number_seq OWNED BY public.tickets.number;



CREATE TABLE public.turns (
    owner character varying(32) NOT NULL,
    turn bigint NOT NULL
);



CREATE TABLE public.workers (
    id character varying(64) NOT NULL,
    machine character varying(200) NOT NULL,
    processes json NOT NULL,
    lease_seconds double precision NOT NULL,
    beats bigint NOT NULL,
    started_at timestamp with time zone NOT NULL,
    seen_at timestamp with time zone NOT NULL
);



ALTER TABLE ONLY public.tickets ALTER COLUMN number SET DEFAULT nextval('public.tickets_number_seq'::regclass);



INSERT INTO dbos.application_versions VALUES ('00472409-edfa-4fa1-822b-7693b77dd007', '1', 1795893397706, 1795893397706, 'gitward');



INSERT INTO dbos.dbos_migrations VALUES (125);









INSERT INTO dbos.operation_outputs VALUES ('run_5ej95rjw447vnmzc', 1, 'preflight', NULL, '{"$error":"AttemptLost"}', NULL, 1795893397955, 1795893397967, 'gitward_json', 'gitward', 1795893397968);
INSERT INTO dbos.operation_outputs VALUES ('run_vw3mkcr47vg2y14y', 1, 'preflight', '{"result":"facts"}', NULL, NULL, 1795893397955, 1795893398007, 'gitward_json', 'gitward', 1795893398008);
INSERT INTO dbos.operation_outputs VALUES ('run_5wped0vzts5n776q', 1, 'preflight', '{"result":"facts"}', NULL, NULL, 1795893398167, 1795893398195, 'gitward_json', 'gitward', 1795893398196);



INSERT INTO dbos.queues VALUES ('914745ef-a2ee-421c-863d-6ace1660144a', 'runs', NULL, 2, NULL, NULL, true, false, 0.2, 1795893397604, 1795893397603, 'gitward', NULL, NULL, NULL, NULL);












INSERT INTO dbos.workflow_input VALUES ('run_5ej95rjw447vnmzc', '{"args":["run_5ej95rjw447vnmzc"],"kwargs":{}}', 1795893397425);
INSERT INTO dbos.workflow_input VALUES ('run_vw3mkcr47vg2y14y', '{"args":["run_vw3mkcr47vg2y14y"],"kwargs":{}}', 1795893397524);
INSERT INTO dbos.workflow_input VALUES ('run_5wped0vzts5n776q', '{"args":["run_5wped0vzts5n776q"],"kwargs":{}}', 1795893397549);
INSERT INTO dbos.workflow_input VALUES ('run_zgxsgpam6d3r4mny', '{"args":["run_zgxsgpam6d3r4mny"],"kwargs":{}}', 1795893398201);
INSERT INTO dbos.workflow_input VALUES ('run_w9x9n1k959wsxzwg', '{"args":["run_w9x9n1k959wsxzwg"],"kwargs":{}}', 1795893398232);



INSERT INTO dbos.workflow_output VALUES ('run_5ej95rjw447vnmzc', NULL, '{"$error":"AttemptLost"}', 1795893397973);






INSERT INTO dbos.workflow_status VALUES ('run_vw3mkcr47vg2y14y', 'PENDING', 'run_session', NULL, NULL, NULL, NULL, NULL, NULL, 'worker-e7a07746cf9a4fb7', 1795893397524, 1795893397939, '1', NULL, NULL, NULL, 1, 'runs', NULL, NULL, NULL, 1795893397939, NULL, 0, NULL, NULL, 'be5722fa-a7ec-4af4-ba8e-7f18f8b34883', NULL, 'gitward_json', NULL, false, false, NULL, 'null', NULL, NULL, false, 'gitward', '7ab77e70-3fec-4411-b835-11399a721948');
INSERT INTO dbos.workflow_status VALUES ('run_5ej95rjw447vnmzc', 'ERROR', 'run_session', NULL, NULL, NULL, NULL, NULL, NULL, 'worker-e7a07746cf9a4fb7', 1795893397425, 1795893397973, '1', NULL, NULL, NULL, 1, 'runs', NULL, NULL, NULL, 1795893397939, NULL, 0, NULL, NULL, NULL, NULL, 'gitward_json', NULL, false, false, 1795893397973, 'null', NULL, NULL, false, 'gitward', 'a2850e22-5f8b-45a7-ae83-d8ce7ff1394e');
INSERT INTO dbos.workflow_status VALUES ('run_5wped0vzts5n776q', 'PENDING', 'run_session', NULL, NULL, NULL, NULL, NULL, NULL, 'worker-e7a07746cf9a4fb7', 1795893397549, 1795893398157, '1', NULL, NULL, NULL, 1, 'runs', NULL, NULL, NULL, 1795893398157, NULL, 0, NULL, NULL, '400f9e7a-2ab1-4130-912f-a7e7e747abbc', NULL, 'gitward_json', NULL, false, false, NULL, 'null', NULL, NULL, false, 'gitward', 'a3f08580-d8e8-4295-9032-f3dfe11fbc26');
INSERT INTO dbos.workflow_status VALUES ('run_zgxsgpam6d3r4mny', 'ENQUEUED', 'run_session', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1795893398201, 1795893398201, '1', NULL, NULL, NULL, 0, 'runs', NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 'gitward_json', NULL, false, false, NULL, 'null', NULL, NULL, false, 'gitward', '7bb927ee-5de4-4c0f-ab6a-fc9912bac1cf');
INSERT INTO dbos.workflow_status VALUES ('run_w9x9n1k959wsxzwg', 'ENQUEUED', 'run_session', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1795893398232, 1795893398232, '1', NULL, NULL, NULL, 0, 'runs', NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 'gitward_json', NULL, false, false, NULL, 'null', NULL, NULL, false, 'gitward', '1239ae4f-5360-4b1a-8f8f-7e6854866495');



INSERT INTO public.alembic_version VALUES ('0007');






INSERT INTO public.events VALUES ('ses_88b3zrtsp2g26c9f', 1, '2026-11-28 19:16:37.424017+00', 'session.created', NULL, '{"repo": "acme/ended", "branch": "gitward/88b3zrts"}');
INSERT INTO public.events VALUES ('ses_88b3zrtsp2g26c9f', 2, '2026-11-28 19:16:37.424017+00', 'run.queued', 'run_5ej95rjw447vnmzc', '{"number": 1, "retry_of": null}');
INSERT INTO public.events VALUES ('ses_88b3zrtsp2g26c9f', 3, '2026-11-28 19:16:37.495766+00', 'run.started', 'run_5ej95rjw447vnmzc', '{"attempt": 1}');
INSERT INTO public.events VALUES ('ses_88b3zrtsp2g26c9f', 4, '2026-11-28 19:16:37.507815+00', 'run.ended', 'run_5ej95rjw447vnmzc', '{"state": "succeeded", "reason": null, "message": "Done.", "changed": true, "head_sha": "1111111111111111111111111111111111111111", "exit_code": null, "pull_request": null}');
INSERT INTO public.events VALUES ('ses_4erzxzcybd1kq85f', 1, '2026-11-28 19:16:37.523995+00', 'session.created', NULL, '{"repo": "acme/running", "branch": "gitward/4erzxzcy"}');
INSERT INTO public.events VALUES ('ses_4erzxzcybd1kq85f', 2, '2026-11-28 19:16:37.523995+00', 'run.queued', 'run_vw3mkcr47vg2y14y', '{"number": 1, "retry_of": null}');
INSERT INTO public.events VALUES ('ses_yg0nmr0dbbd3qb5m', 1, '2026-11-28 19:16:37.549034+00', 'session.created', NULL, '{"repo": "acme/cancelling", "branch": "gitward/yg0nmr0d"}');
INSERT INTO public.events VALUES ('ses_yg0nmr0dbbd3qb5m', 2, '2026-11-28 19:16:37.549034+00', 'run.queued', 'run_5wped0vzts5n776q', '{"number": 1, "retry_of": null}');
INSERT INTO public.events VALUES ('ses_4erzxzcybd1kq85f', 3, '2026-11-28 19:16:37.983896+00', 'run.started', 'run_vw3mkcr47vg2y14y', '{"attempt": 1}');
INSERT INTO public.events VALUES ('ses_4erzxzcybd1kq85f', 4, '2026-11-28 19:16:37.991165+00', 'step.started', 'run_vw3mkcr47vg2y14y', '{"step": "preflight"}');
INSERT INTO public.events VALUES ('ses_4erzxzcybd1kq85f', 5, '2026-11-28 19:16:38.000609+00', 'step.ended', 'run_vw3mkcr47vg2y14y', '{"step": "preflight", "state": "succeeded", "seconds": 0.5}');
INSERT INTO public.events VALUES ('ses_4erzxzcybd1kq85f', 6, '2026-11-28 19:16:38.004143+00', 'step.started', 'run_vw3mkcr47vg2y14y', '{"step": "authenticate"}');
INSERT INTO public.events VALUES ('ses_yg0nmr0dbbd3qb5m', 3, '2026-11-28 19:16:38.172394+00', 'run.started', 'run_5wped0vzts5n776q', '{"attempt": 1}');
INSERT INTO public.events VALUES ('ses_yg0nmr0dbbd3qb5m', 4, '2026-11-28 19:16:38.178991+00', 'step.started', 'run_5wped0vzts5n776q', '{"step": "preflight"}');
INSERT INTO public.events VALUES ('ses_yg0nmr0dbbd3qb5m', 5, '2026-11-28 19:16:38.183537+00', 'step.ended', 'run_5wped0vzts5n776q', '{"step": "preflight", "state": "succeeded", "seconds": 0.5}');
INSERT INTO public.events VALUES ('ses_yg0nmr0dbbd3qb5m', 6, '2026-11-28 19:16:38.186158+00', 'step.started', 'run_5wped0vzts5n776q', '{"step": "authenticate"}');
INSERT INTO public.events VALUES ('ses_vsh2559yp5wcm6bd', 1, '2026-11-28 19:16:38.200323+00', 'session.created', NULL, '{"repo": "acme/admitted", "branch": "gitward/vsh2559y"}');
INSERT INTO public.events VALUES ('ses_vsh2559yp5wcm6bd', 2, '2026-11-28 19:16:38.200323+00', 'run.queued', 'run_zgxsgpam6d3r4mny', '{"number": 1, "retry_of": null}');
INSERT INTO public.events VALUES ('ses_9h995bctrzz7pn9d', 1, '2026-11-28 19:16:38.231648+00', 'session.created', NULL, '{"repo": "acme/admitted-too", "branch": "gitward/9h995bct"}');
INSERT INTO public.events VALUES ('ses_9h995bctrzz7pn9d', 2, '2026-11-28 19:16:38.231648+00', 'run.queued', 'run_w9x9n1k959wsxzwg', '{"number": 1, "retry_of": null}');
INSERT INTO public.events VALUES ('ses_23w7n251sr5c6r5c', 1, '2026-11-28 19:16:38.27225+00', 'session.created', NULL, '{"repo": "acme/waits", "branch": "gitward/23w7n251"}');
INSERT INTO public.events VALUES ('ses_23w7n251sr5c6r5c', 2, '2026-11-28 19:16:38.27225+00', 'run.queued', 'run_1925542t33h9ypyn', '{"number": 1, "retry_of": null}');
INSERT INTO public.events VALUES ('ses_nxyyfch1f09h2rhb', 1, '2026-11-28 19:16:38.296076+00', 'session.created', NULL, '{"repo": "acme/waits-too", "branch": "gitward/nxyyfch1"}');
INSERT INTO public.events VALUES ('ses_nxyyfch1f09h2rhb', 2, '2026-11-28 19:16:38.296076+00', 'run.queued', 'run_77kp6epctd38trvt', '{"number": 1, "retry_of": null}');
INSERT INTO public.events VALUES ('ses_yg0nmr0dbbd3qb5m', 7, '2026-11-28 19:16:38.318555+00', 'run.cancelling', 'run_5wped0vzts5n776q', '{}');
INSERT INTO public.events VALUES ('ses_4erzxzcybd1kq85f', 7, '2026-11-28 19:16:38.339296+00', 'run.queued', 'run_hw1ntnhm1rwgpvyg', '{"number": 2, "retry_of": null}');






INSERT INTO public.runs VALUES ('run_5ej95rjw447vnmzc', 'ses_88b3zrtsp2g26c9f', 1, 'succeeded', NULL, 'Done.', '{"command": null, "env": {}, "timeout_seconds": null, "commit_message": null, "publish": {"mode": "draft", "title": null, "body": null, "labels": [], "reviewers": []}}', NULL, 1, NULL, 0, true, '1111111111111111111111111111111111111111', NULL, false, 'null', NULL, '2026-11-28 19:16:37.424017+00', '2026-11-28 19:16:37.495766+00', '2026-11-28 19:16:37.507815+00', NULL, NULL);
INSERT INTO public.runs VALUES ('run_vw3mkcr47vg2y14y', 'ses_4erzxzcybd1kq85f', 1, 'running', NULL, NULL, '{"command": null, "env": {}, "timeout_seconds": null, "commit_message": null, "publish": {"mode": "draft", "title": null, "body": null, "labels": [], "reviewers": []}}', NULL, 1, 'worker-e7a07746cf9a4fb7', 0, NULL, NULL, NULL, false, NULL, NULL, '2026-11-28 19:16:37.523995+00', '2026-11-28 19:16:37.983896+00', NULL, NULL, NULL);
INSERT INTO public.runs VALUES ('run_zgxsgpam6d3r4mny', 'ses_vsh2559yp5wcm6bd', 1, 'queued', NULL, NULL, '{"command": null, "env": {}, "timeout_seconds": null, "commit_message": null, "publish": {"mode": "draft", "title": null, "body": null, "labels": [], "reviewers": []}}', NULL, 0, NULL, 0, NULL, NULL, NULL, false, NULL, NULL, '2026-11-28 19:16:38.200323+00', NULL, NULL, NULL, NULL);
INSERT INTO public.runs VALUES ('run_w9x9n1k959wsxzwg', 'ses_9h995bctrzz7pn9d', 1, 'queued', NULL, NULL, '{"command": null, "env": {}, "timeout_seconds": null, "commit_message": null, "publish": {"mode": "draft", "title": null, "body": null, "labels": [], "reviewers": []}}', NULL, 0, NULL, 0, NULL, NULL, NULL, false, NULL, NULL, '2026-11-28 19:16:38.231648+00', NULL, NULL, NULL, NULL);
INSERT INTO public.runs VALUES ('run_1925542t33h9ypyn', 'ses_23w7n251sr5c6r5c', 1, 'queued', NULL, NULL, '{"command": null, "env": {}, "timeout_seconds": null, "commit_message": null, "publish": {"mode": "draft", "title": null, "body": null, "labels": [], "reviewers": []}}', NULL, 0, NULL, 0, NULL, NULL, NULL, false, NULL, NULL, '2026-11-28 19:16:38.27225+00', NULL, NULL, NULL, NULL);
INSERT INTO public.runs VALUES ('run_77kp6epctd38trvt', 'ses_nxyyfch1f09h2rhb', 1, 'queued', NULL, NULL, '{"command": null, "env": {}, "timeout_seconds": null, "commit_message": null, "publish": {"mode": "draft", "title": null, "body": null, "labels": [], "reviewers": []}}', NULL, 0, NULL, 0, NULL, NULL, NULL, false, NULL, NULL, '2026-11-28 19:16:38.296076+00', NULL, NULL, NULL, NULL);
INSERT INTO public.runs VALUES ('run_5wped0vzts5n776q', 'ses_yg0nmr0dbbd3qb5m', 1, 'cancelling', NULL, NULL, '{"command": null, "env": {}, "timeout_seconds": null, "commit_message": null, "publish": {"mode": "draft", "title": null, "body": null, "labels": [], "reviewers": []}}', NULL, 1, 'worker-e7a07746cf9a4fb7', 0, NULL, NULL, NULL, false, NULL, '2026-11-28 19:16:38.318555+00', '2026-11-28 19:16:37.549034+00', '2026-11-28 19:16:38.172394+00', NULL, NULL, NULL);
INSERT INTO public.runs VALUES ('run_hw1ntnhm1rwgpvyg', 'ses_4erzxzcybd1kq85f', 2, 'queued', NULL, NULL, '{"command": "true", "env": {}, "timeout_seconds": null, "commit_message": null, "publish": {"mode": "draft", "title": null, "body": null, "labels": [], "reviewers": []}}', NULL, 0, NULL, 0, NULL, NULL, NULL, false, NULL, NULL, '2026-11-28 19:16:38.339296+00', NULL, NULL, NULL, NULL);






INSERT INTO public.sessions VALUES ('ses_88b3zrtsp2g26c9f', 'gitward', 'alice', 'acme/ended', 'acme/ended', NULL, 'gitward/88b3zrts', 'Check out the repository', '[]', '[]', false, 'host', 'succeeded', false, NULL, NULL, 4, '2026-11-28 19:16:37.424017+00', '2026-11-28 19:16:37.507815+00', NULL, NULL, NULL);
INSERT INTO public.sessions VALUES ('ses_vsh2559yp5wcm6bd', 'gitward', 'alice', 'acme/admitted', 'acme/admitted', NULL, 'gitward/vsh2559y', 'Check out the repository', '[]', '[]', false, 'host', 'queued', false, NULL, NULL, 2, '2026-11-28 19:16:38.200323+00', '2026-11-28 19:16:38.200323+00', NULL, NULL, NULL);
INSERT INTO public.sessions VALUES ('ses_9h995bctrzz7pn9d', 'gitward', 'bob', 'acme/admitted-too', 'acme/admitted-too', NULL, 'gitward/9h995bct', 'Check out the repository', '[]', '[]', false, 'host', 'queued', false, NULL, NULL, 2, '2026-11-28 19:16:38.231648+00', '2026-11-28 19:16:38.231648+00', NULL, NULL, NULL);
INSERT INTO public.sessions VALUES ('ses_23w7n251sr5c6r5c', 'gitward', 'bob', 'acme/waits', 'acme/waits', NULL, 'gitward/23w7n251', 'Check out the repository', '[]', '[]', false, 'host', 'queued', false, NULL, NULL, 2, '2026-11-28 19:16:38.27225+00', '2026-11-28 19:16:38.27225+00', NULL, NULL, NULL);
INSERT INTO public.sessions VALUES ('ses_nxyyfch1f09h2rhb', 'gitward', 'alice', 'acme/waits-too', 'acme/waits-too', NULL, 'gitward/nxyyfch1', 'Check out the repository', '[]', '[]', false, 'host', 'queued', false, NULL, NULL, 2, '2026-11-28 19:16:38.296076+00', '2026-11-28 19:16:38.296076+00', NULL, NULL, NULL);
INSERT INTO public.sessions VALUES ('ses_yg0nmr0dbbd3qb5m', 'gitward', 'bob', 'acme/cancelling', 'acme/cancelling', NULL, 'gitward/yg0nmr0d', 'Check out the repository', '[]', '[]', false, 'host', 'cancelling', false, NULL, NULL, 7, '2026-11-28 19:16:37.549034+00', '2026-11-28 19:16:38.318555+00', NULL, NULL, NULL);
INSERT INTO public.sessions VALUES ('ses_4erzxzcybd1kq85f', 'gitward', 'alice', 'acme/running', 'acme/running', NULL, 'gitward/4erzxzcy', 'Check out the repository', '[]', '[]', false, 'host', 'queued', false, NULL, NULL, 7, '2026-11-28 19:16:37.523995+00', '2026-11-28 19:16:38.339296+00', NULL, NULL, NULL);



INSERT INTO public.steps VALUES ('run_vw3mkcr47vg2y14y', 'preflight', 0, 'succeeded', '2026-11-28 19:16:37.991165+00', 0.5);
INSERT INTO public.steps VALUES ('run_vw3mkcr47vg2y14y', 'authenticate', 1, 'running', '2026-11-28 19:16:38.004143+00', NULL);
INSERT INTO public.steps VALUES ('run_5wped0vzts5n776q', 'preflight', 0, 'succeeded', '2026-11-28 19:16:38.178991+00', 0.5);
INSERT INTO public.steps VALUES ('run_5wped0vzts5n776q', 'authenticate', 1, 'running', '2026-11-28 19:16:38.186158+00', NULL);



INSERT INTO public.tickets VALUES (2, 'run_vw3mkcr47vg2y14y', '596513fbd040b4c6edf4291dc376a6ef', true, '2026-11-28 19:16:37.532919+00');
INSERT INTO public.tickets VALUES (3, 'run_5wped0vzts5n776q', 'aef7e3126ad9f5f0e4c42c0f6f88576f', true, '2026-11-28 19:16:37.558039+00');
INSERT INTO public.tickets VALUES (4, 'run_zgxsgpam6d3r4mny', '596513fbd040b4c6edf4291dc376a6ef', true, '2026-11-28 19:16:38.206539+00');
INSERT INTO public.tickets VALUES (5, 'run_w9x9n1k959wsxzwg', 'aef7e3126ad9f5f0e4c42c0f6f88576f', true, '2026-11-28 19:16:38.24475+00');
INSERT INTO public.tickets VALUES (6, 'run_1925542t33h9ypyn', 'aef7e3126ad9f5f0e4c42c0f6f88576f', false, '2026-11-28 19:16:38.286081+00');
INSERT INTO public.tickets VALUES (7, 'run_77kp6epctd38trvt', '596513fbd040b4c6edf4291dc376a6ef', false, '2026-11-28 19:16:38.306624+00');



INSERT INTO public.turns VALUES ('596513fbd040b4c6edf4291dc376a6ef', 4);
INSERT INTO public.turns VALUES ('aef7e3126ad9f5f0e4c42c0f6f88576f', 5);



INSERT INTO public.workers VALUES ('worker-e7a07746cf9a4fb7', '1f3e6293-0cec-48ff-9d1c-297a380ab1bb pid:[4026531836]', '["14545 117770"]', 6, 1, '2026-11-28 19:16:37.628852+00', '2026-11-28 19:16:38.222387+00');



SELECT pg_catalog.setval('public.tickets_number_seq', 7, true);



ALTER TABLE ONLY dbos.application_versions
    ADD CONSTRAINT application_versions_pkey PRIMARY KEY (version_id);



ALTER TABLE ONLY dbos.application_versions
    ADD CONSTRAINT application_versions_version_name_key UNIQUE (version_name);



ALTER TABLE ONLY dbos.dbos_migrations
    ADD CONSTRAINT dbos_migrations_pkey PRIMARY KEY (version);



ALTER TABLE ONLY dbos.event_dispatch_kv
    ADD CONSTRAINT event_dispatch_kv_pkey PRIMARY KEY (service_name, workflow_fn_name, key);



ALTER TABLE ONLY dbos.notifications
    ADD CONSTRAINT notifications_pkey PRIMARY KEY (message_uuid);



ALTER TABLE ONLY dbos.operation_outputs
    ADD CONSTRAINT operation_outputs_pkey PRIMARY KEY (workflow_uuid, function_id);



ALTER TABLE ONLY dbos.queues
    ADD CONSTRAINT queues_name_key UNIQUE (name);



ALTER TABLE ONLY dbos.queues
    ADD CONSTRAINT queues_pkey PRIMARY KEY (queue_id);



ALTER TABLE ONLY dbos.streams
    ADD CONSTRAINT streams_pkey PRIMARY KEY (workflow_uuid, key, "offset");



ALTER TABLE ONLY dbos.workflow_events_history
    ADD CONSTRAINT workflow_events_history_pkey PRIMARY KEY (workflow_uuid, function_id, key);



ALTER TABLE ONLY dbos.workflow_events
    ADD CONSTRAINT workflow_events_pkey PRIMARY KEY (workflow_uuid, key);



ALTER TABLE ONLY dbos.workflow_input
    ADD CONSTRAINT workflow_input_pkey PRIMARY KEY (workflow_uuid);



ALTER TABLE ONLY dbos.workflow_output
    ADD CONSTRAINT workflow_output_pkey PRIMARY KEY (workflow_uuid);



ALTER TABLE ONLY dbos.workflow_schedules
    ADD CONSTRAINT workflow_schedules_pkey PRIMARY KEY (schedule_id);



ALTER TABLE ONLY dbos.workflow_schedules
    ADD CONSTRAINT workflow_schedules_schedule_name_key UNIQUE (schedule_name);



ALTER TABLE ONLY dbos.workflow_status
    ADD CONSTRAINT workflow_status_pkey PRIMARY KEY (workflow_uuid);



ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);



ALTER TABLE ONLY public.artifacts
    ADD CONSTRAINT pk_artifacts PRIMARY KEY (run_id, attempt, kind, piece);



ALTER TABLE ONLY public.events
    ADD CONSTRAINT pk_events PRIMARY KEY (session_id, seq);



ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT pk_idempotency_keys PRIMARY KEY (issuer, subject, key);



ALTER TABLE ONLY public.runs
    ADD CONSTRAINT pk_runs PRIMARY KEY (id);



ALTER TABLE ONLY public.schedules
    ADD CONSTRAINT pk_schedules PRIMARY KEY (id);



ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT pk_sessions PRIMARY KEY (id);



ALTER TABLE ONLY public.steps
    ADD CONSTRAINT pk_steps PRIMARY KEY (run_id, name);



ALTER TABLE ONLY public.tickets
    ADD CONSTRAINT pk_tickets PRIMARY KEY (number);



ALTER TABLE ONLY public.turns
    ADD CONSTRAINT pk_turns PRIMARY KEY (owner);



ALTER TABLE ONLY public.workers
    ADD CONSTRAINT pk_workers PRIMARY KEY (id);



ALTER TABLE ONLY public.runs
    ADD CONSTRAINT uq_runs_session_id_number UNIQUE (session_id, number);



ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT uq_sessions_repo_key_branch UNIQUE (repo_key, branch);



ALTER TABLE ONLY public.tickets
    ADD CONSTRAINT uq_tickets_run_id UNIQUE (run_id);



CREATE INDEX idx_application_versions_owner_timestamp ON dbos.application_versions USING btree (application_name, version_timestamp DESC);



CREATE INDEX idx_application_versions_timestamp ON dbos.application_versions USING btree (version_timestamp DESC);



CREATE INDEX idx_operation_outputs_completed_at_function_name_v2 ON dbos.operation_outputs USING btree (completed_at_epoch_ms, function_name) INCLUDE (application_name);



CREATE INDEX idx_operation_outputs_retention ON dbos.operation_outputs USING btree (retention_timestamp);



CREATE INDEX idx_workflow_input_retention ON dbos.workflow_input USING btree (retention_timestamp);



CREATE INDEX idx_workflow_output_retention ON dbos.workflow_output USING btree (retention_timestamp);



CREATE INDEX idx_workflow_status_attributes ON dbos.workflow_status USING gin (attributes) WHERE (attributes IS NOT NULL);



CREATE INDEX idx_workflow_status_completed_at ON dbos.workflow_status USING btree (completed_at) WHERE (completed_at IS NOT NULL);



CREATE INDEX idx_workflow_status_deadline ON dbos.workflow_status USING btree (workflow_deadline_epoch_ms) WHERE ((status = ANY (ARRAY['ENQUEUED'::text, 'PENDING'::text, 'DELAYED'::text])) AND (workflow_deadline_epoch_ms IS NOT NULL));



CREATE INDEX idx_workflow_status_delayed ON dbos.workflow_status USING btree (delay_until_epoch_ms) WHERE (status = 'DELAYED'::text);



CREATE INDEX idx_workflow_status_failed ON dbos.workflow_status USING btree (status, created_at) WHERE (status = ANY (ARRAY['ERROR'::text, 'CANCELLED'::text, 'MAX_RECOVERY_ATTEMPTS_EXCEEDED'::text]));



CREATE INDEX idx_workflow_status_forked_from ON dbos.workflow_status USING btree (forked_from) WHERE (forked_from IS NOT NULL);



CREATE INDEX idx_workflow_status_in_flight_v2 ON dbos.workflow_status USING btree (queue_name, status, priority, created_at) INCLUDE (application_name) WHERE (status = ANY (ARRAY['ENQUEUED'::text, 'PENDING'::text]));



CREATE INDEX idx_workflow_status_parent_workflow_id ON dbos.workflow_status USING btree (parent_workflow_id) WHERE (parent_workflow_id IS NOT NULL);



CREATE INDEX idx_workflow_status_partition_dequeue_v3 ON dbos.workflow_status USING btree (queue_name, status, queue_partition_key, priority, created_at, workflow_uuid) INCLUDE (application_name) WHERE ((status = ANY (ARRAY['ENQUEUED'::text, 'PENDING'::text])) AND (queue_partition_key IS NOT NULL));



CREATE INDEX idx_workflow_status_pending ON dbos.workflow_status USING btree (created_at) WHERE (status = 'PENDING'::text);



CREATE INDEX idx_workflow_status_rate_limited ON dbos.workflow_status USING btree (queue_name, started_at_epoch_ms) WHERE (rate_limited = true);



CREATE INDEX idx_workflow_status_schedule_name ON dbos.workflow_status USING btree (schedule_name) WHERE (schedule_name IS NOT NULL);



CREATE INDEX idx_workflow_status_started_at ON dbos.workflow_status USING btree (started_at_epoch_ms) WHERE (started_at_epoch_ms IS NOT NULL);



CREATE INDEX idx_workflow_topic ON dbos.notifications USING btree (destination_uuid, topic);



CREATE UNIQUE INDEX uq_application_versions_owner_version ON dbos.application_versions USING btree (application_name, version_name) WHERE (application_name IS NOT NULL);



CREATE UNIQUE INDEX uq_application_versions_unclaimed_version ON dbos.application_versions USING btree (version_name) WHERE (application_name IS NULL);



CREATE UNIQUE INDEX uq_workflow_status_dedup_id ON dbos.workflow_status USING btree (queue_name, deduplication_id) WHERE (deduplication_id IS NOT NULL);



CREATE INDEX workflow_status_created_at_index ON dbos.workflow_status USING btree (created_at);



CREATE INDEX ix_runs_state ON public.runs USING btree (state);



CREATE INDEX ix_schedules_issuer_subject_created_at ON public.schedules USING btree (issuer, subject, created_at);



CREATE INDEX ix_schedules_next_at ON public.schedules USING btree (next_at);



CREATE INDEX ix_sessions_issuer_subject_created_at_id ON public.sessions USING btree (issuer, subject, created_at, id);



CREATE UNIQUE INDEX ix_sessions_schedule_id_scheduled_for ON public.sessions USING btree (schedule_id, scheduled_for);



CREATE INDEX ix_tickets_has_place_owner_number ON public.tickets USING btree (has_place, owner, number);



CREATE INDEX ix_turns_turn ON public.turns USING btree (turn);



CREATE TRIGGER dbos_notifications_trigger AFTER INSERT ON dbos.notifications FOR EACH ROW EXECUTE FUNCTION dbos.notifications_function();



ALTER TABLE ONLY dbos.notifications
    ADD CONSTRAINT notifications_destination_uuid_fkey FOREIGN KEY (destination_uuid) REFERENCES dbos.workflow_status(workflow_uuid) ON UPDATE CASCADE ON DELETE CASCADE;



ALTER TABLE ONLY dbos.streams
    ADD CONSTRAINT streams_workflow_uuid_fkey FOREIGN KEY (workflow_uuid) REFERENCES dbos.workflow_status(workflow_uuid) ON UPDATE CASCADE ON DELETE CASCADE;



ALTER TABLE ONLY dbos.workflow_events_history
    ADD CONSTRAINT workflow_events_history_workflow_uuid_fkey FOREIGN KEY (workflow_uuid) REFERENCES dbos.workflow_status(workflow_uuid) ON UPDATE CASCADE ON DELETE CASCADE;



ALTER TABLE ONLY dbos.workflow_events
    ADD CONSTRAINT workflow_events_workflow_uuid_fkey FOREIGN KEY (workflow_uuid) REFERENCES dbos.workflow_status(workflow_uuid) ON UPDATE CASCADE ON DELETE CASCADE;



ALTER TABLE ONLY public.artifacts
    ADD CONSTRAINT fk_artifacts_run_id FOREIGN KEY (run_id) REFERENCES public.runs(id) ON DELETE CASCADE;



ALTER TABLE ONLY public.events
    ADD CONSTRAINT fk_events_session_id FOREIGN KEY (session_id) REFERENCES public.sessions(id) ON DELETE CASCADE;



ALTER TABLE ONLY public.runs
    ADD CONSTRAINT fk_runs_session_id FOREIGN KEY (session_id) REFERENCES public.sessions(id) ON DELETE CASCADE;



ALTER TABLE ONLY public.steps
    ADD CONSTRAINT fk_steps_run_id FOREIGN KEY (run_id) REFERENCES public.runs(id) ON DELETE CASCADE;



ALTER TABLE ONLY public.tickets
    ADD CONSTRAINT fk_tickets_run_id FOREIGN KEY (run_id) REFERENCES public.runs(id) ON DELETE CASCADE;



