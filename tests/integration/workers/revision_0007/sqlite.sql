BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0007');
CREATE TABLE application_versions (
    version_id TEXT NOT NULL PRIMARY KEY,
    version_name TEXT NOT NULL UNIQUE,
    version_timestamp INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000),
    created_at INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000)
, "application_name" TEXT DEFAULT NULL);
INSERT INTO "application_versions" VALUES('b37de711-79ec-4886-99e4-7032a183891a','1',1795893392000,1795893392000,'gitward');
CREATE TABLE "artifacts" (
	run_id VARCHAR(40) NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	piece INTEGER NOT NULL, 
	content BLOB NOT NULL, 
	attempt INTEGER NOT NULL, 
	CONSTRAINT pk_artifacts PRIMARY KEY (run_id, attempt, kind, piece), 
	CONSTRAINT fk_artifacts_run_id FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
);
CREATE TABLE dbos_migrations (version INTEGER NOT NULL PRIMARY KEY);
INSERT INTO "dbos_migrations" VALUES(125);
CREATE TABLE events (
	session_id VARCHAR(40) NOT NULL, 
	seq INTEGER NOT NULL, 
	at DATETIME NOT NULL, 
	type VARCHAR(40) NOT NULL, 
	run_id VARCHAR(40), 
	data JSON NOT NULL, 
	CONSTRAINT pk_events PRIMARY KEY (session_id, seq), 
	CONSTRAINT fk_events_session_id FOREIGN KEY(session_id) REFERENCES sessions (id) ON DELETE CASCADE
);
INSERT INTO "events" VALUES('ses_jn3y91qhg23f0ncc',1,'2026-11-28 19:16:32.035905','session.created',NULL,'{"repo": "acme/ended", "branch": "gitward/jn3y91qh"}');
INSERT INTO "events" VALUES('ses_jn3y91qhg23f0ncc',2,'2026-11-28 19:16:32.035905','run.queued','run_8ewbdf3yzys8jag4','{"number": 1, "retry_of": null}');
INSERT INTO "events" VALUES('ses_jn3y91qhg23f0ncc',3,'2026-11-28 19:16:32.071550','run.started','run_8ewbdf3yzys8jag4','{"attempt": 1}');
INSERT INTO "events" VALUES('ses_jn3y91qhg23f0ncc',4,'2026-11-28 19:16:32.076704','run.ended','run_8ewbdf3yzys8jag4','{"state": "succeeded", "reason": null, "message": "Done.", "changed": true, "head_sha": "1111111111111111111111111111111111111111", "exit_code": null, "pull_request": null}');
INSERT INTO "events" VALUES('ses_yxn4qt2nc0wxba3d',1,'2026-11-28 19:16:32.081841','session.created',NULL,'{"repo": "acme/running", "branch": "gitward/yxn4qt2n"}');
INSERT INTO "events" VALUES('ses_yxn4qt2nc0wxba3d',2,'2026-11-28 19:16:32.081841','run.queued','run_5tgd68bt4dth0hfz','{"number": 1, "retry_of": null}');
INSERT INTO "events" VALUES('ses_zhjmf883h9ypawdy',1,'2026-11-28 19:16:32.090646','session.created',NULL,'{"repo": "acme/cancelling", "branch": "gitward/zhjmf883"}');
INSERT INTO "events" VALUES('ses_zhjmf883h9ypawdy',2,'2026-11-28 19:16:32.090646','run.queued','run_aqc34eng8t0n2rmk','{"number": 1, "retry_of": null}');
INSERT INTO "events" VALUES('ses_yxn4qt2nc0wxba3d',3,'2026-11-28 19:16:32.385143','run.started','run_5tgd68bt4dth0hfz','{"attempt": 1}');
INSERT INTO "events" VALUES('ses_yxn4qt2nc0wxba3d',4,'2026-11-28 19:16:32.388778','step.started','run_5tgd68bt4dth0hfz','{"step": "preflight"}');
INSERT INTO "events" VALUES('ses_yxn4qt2nc0wxba3d',5,'2026-11-28 19:16:32.391940','step.ended','run_5tgd68bt4dth0hfz','{"step": "preflight", "state": "succeeded", "seconds": 0.5}');
INSERT INTO "events" VALUES('ses_yxn4qt2nc0wxba3d',6,'2026-11-28 19:16:32.393410','step.started','run_5tgd68bt4dth0hfz','{"step": "authenticate"}');
INSERT INTO "events" VALUES('ses_zhjmf883h9ypawdy',3,'2026-11-28 19:16:32.566743','run.started','run_aqc34eng8t0n2rmk','{"attempt": 1}');
INSERT INTO "events" VALUES('ses_zhjmf883h9ypawdy',4,'2026-11-28 19:16:32.570235','step.started','run_aqc34eng8t0n2rmk','{"step": "preflight"}');
INSERT INTO "events" VALUES('ses_zhjmf883h9ypawdy',5,'2026-11-28 19:16:32.572530','step.ended','run_aqc34eng8t0n2rmk','{"step": "preflight", "state": "succeeded", "seconds": 0.5}');
INSERT INTO "events" VALUES('ses_zhjmf883h9ypawdy',6,'2026-11-28 19:16:32.573820','step.started','run_aqc34eng8t0n2rmk','{"step": "authenticate"}');
INSERT INTO "events" VALUES('ses_bf48x0s5vztd61fs',1,'2026-11-28 19:16:32.577787','session.created',NULL,'{"repo": "acme/admitted", "branch": "gitward/bf48x0s5"}');
INSERT INTO "events" VALUES('ses_bf48x0s5vztd61fs',2,'2026-11-28 19:16:32.577787','run.queued','run_ajc1bapj5j4xkpv7','{"number": 1, "retry_of": null}');
INSERT INTO "events" VALUES('ses_04g6r0c179h9m3s1',1,'2026-11-28 19:16:32.586846','session.created',NULL,'{"repo": "acme/admitted-too", "branch": "gitward/04g6r0c1"}');
INSERT INTO "events" VALUES('ses_04g6r0c179h9m3s1',2,'2026-11-28 19:16:32.586846','run.queued','run_fyjnngmt41k00h5d','{"number": 1, "retry_of": null}');
INSERT INTO "events" VALUES('ses_96a84c8f91hg0mae',1,'2026-11-28 19:16:32.595298','session.created',NULL,'{"repo": "acme/waits", "branch": "gitward/96a84c8f"}');
INSERT INTO "events" VALUES('ses_96a84c8f91hg0mae',2,'2026-11-28 19:16:32.595298','run.queued','run_zck5mprtxgx16bcq','{"number": 1, "retry_of": null}');
INSERT INTO "events" VALUES('ses_2cta5zqgy7m0nk5c',1,'2026-11-28 19:16:32.602248','session.created',NULL,'{"repo": "acme/waits-too", "branch": "gitward/2cta5zqg"}');
INSERT INTO "events" VALUES('ses_2cta5zqgy7m0nk5c',2,'2026-11-28 19:16:32.602248','run.queued','run_g6msxe1cjdxmn6c1','{"number": 1, "retry_of": null}');
INSERT INTO "events" VALUES('ses_zhjmf883h9ypawdy',7,'2026-11-28 19:16:32.608776','run.cancelling','run_aqc34eng8t0n2rmk','{}');
INSERT INTO "events" VALUES('ses_yxn4qt2nc0wxba3d',7,'2026-11-28 19:16:32.614955','run.queued','run_kdcbqxgkye8yzm46','{"number": 2, "retry_of": null}');
CREATE TABLE idempotency_keys (
	issuer VARCHAR(512) NOT NULL, 
	subject VARCHAR(512) NOT NULL, 
	"key" VARCHAR(255) NOT NULL, 
	fingerprint VARCHAR(64) NOT NULL, 
	answer JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_idempotency_keys PRIMARY KEY (issuer, subject, "key")
);
CREATE TABLE notifications (
    message_uuid TEXT NOT NULL DEFAULT (hex(randomblob(16))) PRIMARY KEY,
    destination_uuid TEXT NOT NULL,
    topic TEXT,
    message TEXT NOT NULL,
    created_at_epoch_ms INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000), "serialization" TEXT DEFAULT NULL, "consumed" BOOLEAN NOT NULL DEFAULT FALSE, consumed_by_function_id INTEGER,
    FOREIGN KEY (destination_uuid) REFERENCES workflow_status(workflow_uuid) 
        ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE TABLE "operation_outputs" (
    workflow_uuid TEXT NOT NULL,
    function_id INTEGER NOT NULL,
    function_name TEXT NOT NULL DEFAULT '',
    output TEXT,
    error TEXT,
    child_workflow_id TEXT,
    started_at_epoch_ms INTEGER,
    completed_at_epoch_ms INTEGER,
    serialization TEXT,
    application_name TEXT DEFAULT NULL,
    retention_timestamp INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000),
    PRIMARY KEY (workflow_uuid, function_id)
);
INSERT INTO "operation_outputs" VALUES('run_8ewbdf3yzys8jag4',1,'preflight',NULL,'{"$error":"AttemptLost"}',NULL,1795893392356,1795893392362,'gitward_json','gitward',1795893392000);
INSERT INTO "operation_outputs" VALUES('run_5tgd68bt4dth0hfz',1,'preflight','{"result":"facts"}',NULL,NULL,1795893392360,1795893392395,'gitward_json','gitward',1795893392000);
INSERT INTO "operation_outputs" VALUES('run_aqc34eng8t0n2rmk',1,'preflight','{"result":"facts"}',NULL,NULL,1795893392564,1795893392575,'gitward_json','gitward',1795893392000);
CREATE TABLE queues (
    queue_id TEXT PRIMARY KEY DEFAULT (hex(randomblob(16))),
    name TEXT NOT NULL UNIQUE,
    concurrency INTEGER,
    worker_concurrency INTEGER,
    rate_limit_max INTEGER,
    rate_limit_period_sec REAL,
    priority_enabled BOOLEAN NOT NULL DEFAULT FALSE,
    partition_queue BOOLEAN NOT NULL DEFAULT FALSE,
    polling_interval_sec REAL NOT NULL DEFAULT 1.0,
    created_at INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000),
    updated_at INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000)
, "application_name" TEXT DEFAULT NULL, "partition_concurrency" INTEGER DEFAULT NULL, "partition_worker_concurrency" INTEGER DEFAULT NULL, "partition_rate_limit_max" INTEGER DEFAULT NULL, "partition_rate_limit_period_sec" REAL DEFAULT NULL);
INSERT INTO "queues" VALUES('D5A6E702DD7847745001E72FA7FC99EE','runs',NULL,2,NULL,NULL,1,0,0.2,1795893392000,1795893392100,'gitward',NULL,NULL,NULL,NULL);
CREATE TABLE runs (
	id VARCHAR(40) NOT NULL, 
	session_id VARCHAR(40) NOT NULL, 
	number INTEGER NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	reason VARCHAR(32), 
	message TEXT, 
	instruction JSON NOT NULL, 
	retry_of VARCHAR(40), 
	attempt INTEGER NOT NULL, 
	worker VARCHAR(64), 
	losses INTEGER NOT NULL, 
	changed BOOLEAN, 
	head_sha VARCHAR(64), 
	exit_code INTEGER, 
	output_truncated BOOLEAN NOT NULL, 
	pull_request JSON, 
	cancel_requested_at DATETIME, 
	created_at DATETIME NOT NULL, 
	started_at DATETIME, 
	ended_at DATETIME, start_sha VARCHAR(64), pushing_sha VARCHAR(64), 
	CONSTRAINT pk_runs PRIMARY KEY (id), 
	CONSTRAINT fk_runs_session_id FOREIGN KEY(session_id) REFERENCES sessions (id) ON DELETE CASCADE, 
	CONSTRAINT uq_runs_session_id_number UNIQUE (session_id, number)
);
INSERT INTO "runs" VALUES('run_8ewbdf3yzys8jag4','ses_jn3y91qhg23f0ncc',1,'succeeded',NULL,'Done.','{"command": null, "env": {}, "timeout_seconds": null, "commit_message": null, "publish": {"mode": "draft", "title": null, "body": null, "labels": [], "reviewers": []}}',NULL,1,NULL,0,1,'1111111111111111111111111111111111111111',NULL,0,'null',NULL,'2026-11-28 19:16:32.035905','2026-11-28 19:16:32.071550','2026-11-28 19:16:32.076704',NULL,NULL);
INSERT INTO "runs" VALUES('run_5tgd68bt4dth0hfz','ses_yxn4qt2nc0wxba3d',1,'running',NULL,NULL,'{"command": null, "env": {}, "timeout_seconds": null, "commit_message": null, "publish": {"mode": "draft", "title": null, "body": null, "labels": [], "reviewers": []}}',NULL,1,'worker-c1c9723f61394358',0,NULL,NULL,NULL,0,NULL,NULL,'2026-11-28 19:16:32.081841','2026-11-28 19:16:32.385143',NULL,NULL,NULL);
INSERT INTO "runs" VALUES('run_aqc34eng8t0n2rmk','ses_zhjmf883h9ypawdy',1,'cancelling',NULL,NULL,'{"command": null, "env": {}, "timeout_seconds": null, "commit_message": null, "publish": {"mode": "draft", "title": null, "body": null, "labels": [], "reviewers": []}}',NULL,1,'worker-c1c9723f61394358',0,NULL,NULL,NULL,0,NULL,'2026-11-28 19:16:32.608776','2026-11-28 19:16:32.090646','2026-11-28 19:16:32.566743',NULL,NULL,NULL);
INSERT INTO "runs" VALUES('run_ajc1bapj5j4xkpv7','ses_bf48x0s5vztd61fs',1,'queued',NULL,NULL,'{"command": null, "env": {}, "timeout_seconds": null, "commit_message": null, "publish": {"mode": "draft", "title": null, "body": null, "labels": [], "reviewers": []}}',NULL,0,NULL,0,NULL,NULL,NULL,0,NULL,NULL,'2026-11-28 19:16:32.577787',NULL,NULL,NULL,NULL);
INSERT INTO "runs" VALUES('run_fyjnngmt41k00h5d','ses_04g6r0c179h9m3s1',1,'queued',NULL,NULL,'{"command": null, "env": {}, "timeout_seconds": null, "commit_message": null, "publish": {"mode": "draft", "title": null, "body": null, "labels": [], "reviewers": []}}',NULL,0,NULL,0,NULL,NULL,NULL,0,NULL,NULL,'2026-11-28 19:16:32.586846',NULL,NULL,NULL,NULL);
INSERT INTO "runs" VALUES('run_zck5mprtxgx16bcq','ses_96a84c8f91hg0mae',1,'queued',NULL,NULL,'{"command": null, "env": {}, "timeout_seconds": null, "commit_message": null, "publish": {"mode": "draft", "title": null, "body": null, "labels": [], "reviewers": []}}',NULL,0,NULL,0,NULL,NULL,NULL,0,NULL,NULL,'2026-11-28 19:16:32.595298',NULL,NULL,NULL,NULL);
INSERT INTO "runs" VALUES('run_g6msxe1cjdxmn6c1','ses_2cta5zqgy7m0nk5c',1,'queued',NULL,NULL,'{"command": null, "env": {}, "timeout_seconds": null, "commit_message": null, "publish": {"mode": "draft", "title": null, "body": null, "labels": [], "reviewers": []}}',NULL,0,NULL,0,NULL,NULL,NULL,0,NULL,NULL,'2026-11-28 19:16:32.602248',NULL,NULL,NULL,NULL);
INSERT INTO "runs" VALUES('run_kdcbqxgkye8yzm46','ses_yxn4qt2nc0wxba3d',2,'queued',NULL,NULL,'{"command": "true", "env": {}, "timeout_seconds": null, "commit_message": null, "publish": {"mode": "draft", "title": null, "body": null, "labels": [], "reviewers": []}}',NULL,0,NULL,0,NULL,NULL,NULL,0,NULL,NULL,'2026-11-28 19:16:32.614955',NULL,NULL,NULL,NULL);
CREATE TABLE schedules (
	id VARCHAR(40) NOT NULL, 
	issuer VARCHAR(512) NOT NULL, 
	subject VARCHAR(512) NOT NULL, 
	schedule VARCHAR(100) NOT NULL, 
	timezone VARCHAR(64) NOT NULL, 
	repo VARCHAR(200) NOT NULL, 
	target_branch VARCHAR(255), 
	title VARCHAR(256), 
	labels JSON NOT NULL, 
	submodules JSON NOT NULL, 
	allow_workflows BOOLEAN NOT NULL, 
	environment VARCHAR(32) NOT NULL, 
	instruction JSON NOT NULL, 
	claims JSON NOT NULL, 
	paused BOOLEAN NOT NULL, 
	next_at DATETIME, 
	last_at DATETIME, 
	last_session_id VARCHAR(40), 
	skipped_because TEXT, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	CONSTRAINT pk_schedules PRIMARY KEY (id)
);
CREATE TABLE sessions (
	id VARCHAR(40) NOT NULL, 
	issuer VARCHAR(512) NOT NULL, 
	subject VARCHAR(512) NOT NULL, 
	repo VARCHAR(200) NOT NULL, 
	repo_key VARCHAR(200) NOT NULL, 
	target_branch VARCHAR(255), 
	branch VARCHAR(255) NOT NULL, 
	title VARCHAR(256) NOT NULL, 
	labels JSON NOT NULL, 
	submodules JSON NOT NULL, 
	allow_workflows BOOLEAN NOT NULL, 
	environment VARCHAR(32) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	archived BOOLEAN NOT NULL, 
	pull_request JSON, 
	pushed_sha VARCHAR(64), 
	last_seq INTEGER NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, schedule_id VARCHAR(40), scheduled_for DATETIME, claims JSON, 
	CONSTRAINT pk_sessions PRIMARY KEY (id), 
	CONSTRAINT uq_sessions_repo_key_branch UNIQUE (repo_key, branch)
);
INSERT INTO "sessions" VALUES('ses_jn3y91qhg23f0ncc','gitward','alice','acme/ended','acme/ended',NULL,'gitward/jn3y91qh','Check out the repository','[]','[]',0,'host','succeeded',0,NULL,NULL,4,'2026-11-28 19:16:32.035905','2026-11-28 19:16:32.076704',NULL,NULL,NULL);
INSERT INTO "sessions" VALUES('ses_yxn4qt2nc0wxba3d','gitward','alice','acme/running','acme/running',NULL,'gitward/yxn4qt2n','Check out the repository','[]','[]',0,'host','queued',0,NULL,NULL,7,'2026-11-28 19:16:32.081841','2026-11-28 19:16:32.614955',NULL,NULL,NULL);
INSERT INTO "sessions" VALUES('ses_zhjmf883h9ypawdy','gitward','bob','acme/cancelling','acme/cancelling',NULL,'gitward/zhjmf883','Check out the repository','[]','[]',0,'host','cancelling',0,NULL,NULL,7,'2026-11-28 19:16:32.090646','2026-11-28 19:16:32.608776',NULL,NULL,NULL);
INSERT INTO "sessions" VALUES('ses_bf48x0s5vztd61fs','gitward','alice','acme/admitted','acme/admitted',NULL,'gitward/bf48x0s5','Check out the repository','[]','[]',0,'host','queued',0,NULL,NULL,2,'2026-11-28 19:16:32.577787','2026-11-28 19:16:32.577787',NULL,NULL,NULL);
INSERT INTO "sessions" VALUES('ses_04g6r0c179h9m3s1','gitward','bob','acme/admitted-too','acme/admitted-too',NULL,'gitward/04g6r0c1','Check out the repository','[]','[]',0,'host','queued',0,NULL,NULL,2,'2026-11-28 19:16:32.586846','2026-11-28 19:16:32.586846',NULL,NULL,NULL);
INSERT INTO "sessions" VALUES('ses_96a84c8f91hg0mae','gitward','bob','acme/waits','acme/waits',NULL,'gitward/96a84c8f','Check out the repository','[]','[]',0,'host','queued',0,NULL,NULL,2,'2026-11-28 19:16:32.595298','2026-11-28 19:16:32.595298',NULL,NULL,NULL);
INSERT INTO "sessions" VALUES('ses_2cta5zqgy7m0nk5c','gitward','alice','acme/waits-too','acme/waits-too',NULL,'gitward/2cta5zqg','Check out the repository','[]','[]',0,'host','queued',0,NULL,NULL,2,'2026-11-28 19:16:32.602248','2026-11-28 19:16:32.602248',NULL,NULL,NULL);
CREATE TABLE steps (
	run_id VARCHAR(40) NOT NULL, 
	name VARCHAR(16) NOT NULL, 
	position INTEGER NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	started_at DATETIME NOT NULL, 
	seconds FLOAT, 
	CONSTRAINT pk_steps PRIMARY KEY (run_id, name), 
	CONSTRAINT fk_steps_run_id FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
);
INSERT INTO "steps" VALUES('run_5tgd68bt4dth0hfz','preflight',0,'succeeded','2026-11-28 19:16:32.388778',0.5);
INSERT INTO "steps" VALUES('run_5tgd68bt4dth0hfz','authenticate',1,'running','2026-11-28 19:16:32.393410',NULL);
INSERT INTO "steps" VALUES('run_aqc34eng8t0n2rmk','preflight',0,'succeeded','2026-11-28 19:16:32.570235',0.5);
INSERT INTO "steps" VALUES('run_aqc34eng8t0n2rmk','authenticate',1,'running','2026-11-28 19:16:32.573820',NULL);
CREATE TABLE streams (
    workflow_uuid TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    "offset" INTEGER NOT NULL, function_id INTEGER NOT NULL DEFAULT 0, "serialization" TEXT DEFAULT NULL,
    PRIMARY KEY (workflow_uuid, key, "offset"),
    FOREIGN KEY (workflow_uuid) REFERENCES workflow_status(workflow_uuid) 
        ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE TABLE tickets (
	number INTEGER NOT NULL, 
	run_id VARCHAR(40) NOT NULL, 
	owner VARCHAR(32) NOT NULL, 
	has_place BOOLEAN NOT NULL, 
	waiting_since DATETIME NOT NULL, 
	CONSTRAINT pk_tickets PRIMARY KEY (number), 
	CONSTRAINT fk_tickets_run_id FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE, 
	CONSTRAINT uq_tickets_run_id UNIQUE (run_id)
);
INSERT INTO "tickets" VALUES(1,'run_5tgd68bt4dth0hfz','596513fbd040b4c6edf4291dc376a6ef',1,'2026-11-28 19:16:32.084714');
INSERT INTO "tickets" VALUES(2,'run_aqc34eng8t0n2rmk','aef7e3126ad9f5f0e4c42c0f6f88576f',1,'2026-11-28 19:16:32.093491');
INSERT INTO "tickets" VALUES(3,'run_ajc1bapj5j4xkpv7','596513fbd040b4c6edf4291dc376a6ef',1,'2026-11-28 19:16:32.580812');
INSERT INTO "tickets" VALUES(4,'run_fyjnngmt41k00h5d','aef7e3126ad9f5f0e4c42c0f6f88576f',1,'2026-11-28 19:16:32.589807');
INSERT INTO "tickets" VALUES(5,'run_zck5mprtxgx16bcq','aef7e3126ad9f5f0e4c42c0f6f88576f',0,'2026-11-28 19:16:32.598159');
INSERT INTO "tickets" VALUES(6,'run_g6msxe1cjdxmn6c1','596513fbd040b4c6edf4291dc376a6ef',0,'2026-11-28 19:16:32.605044');
CREATE TABLE turns (
	owner VARCHAR(32) NOT NULL, 
	turn BIGINT NOT NULL, 
	CONSTRAINT pk_turns PRIMARY KEY (owner)
);
INSERT INTO "turns" VALUES('596513fbd040b4c6edf4291dc376a6ef',4);
INSERT INTO "turns" VALUES('aef7e3126ad9f5f0e4c42c0f6f88576f',5);
CREATE TABLE workers (
	id VARCHAR(64) NOT NULL, 
	machine VARCHAR(200) NOT NULL, 
	processes JSON NOT NULL, 
	lease_seconds FLOAT NOT NULL, 
	beats BIGINT NOT NULL, 
	started_at DATETIME NOT NULL, 
	seen_at DATETIME NOT NULL, 
	CONSTRAINT pk_workers PRIMARY KEY (id)
);
CREATE TABLE workflow_events (
    workflow_uuid TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL, "serialization" TEXT DEFAULT NULL,
    PRIMARY KEY (workflow_uuid, key),
    FOREIGN KEY (workflow_uuid) REFERENCES workflow_status(workflow_uuid) 
        ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE TABLE workflow_events_history (
    workflow_uuid TEXT NOT NULL,
    function_id INTEGER NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL, "serialization" TEXT DEFAULT NULL,
    PRIMARY KEY (workflow_uuid, function_id, key),
    FOREIGN KEY (workflow_uuid) REFERENCES workflow_status(workflow_uuid)
        ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE TABLE workflow_input (
    workflow_uuid TEXT NOT NULL PRIMARY KEY,
    inputs TEXT,
    retention_timestamp INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000)
);
INSERT INTO "workflow_input" VALUES('run_8ewbdf3yzys8jag4','{"args":["run_8ewbdf3yzys8jag4"],"kwargs":{}}',1795893392000);
INSERT INTO "workflow_input" VALUES('run_5tgd68bt4dth0hfz','{"args":["run_5tgd68bt4dth0hfz"],"kwargs":{}}',1795893392000);
INSERT INTO "workflow_input" VALUES('run_aqc34eng8t0n2rmk','{"args":["run_aqc34eng8t0n2rmk"],"kwargs":{}}',1795893392000);
INSERT INTO "workflow_input" VALUES('run_ajc1bapj5j4xkpv7','{"args":["run_ajc1bapj5j4xkpv7"],"kwargs":{}}',1795893392000);
INSERT INTO "workflow_input" VALUES('run_fyjnngmt41k00h5d','{"args":["run_fyjnngmt41k00h5d"],"kwargs":{}}',1795893392000);
CREATE TABLE workflow_output (
    workflow_uuid TEXT NOT NULL PRIMARY KEY,
    output TEXT,
    error TEXT,
    retention_timestamp INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000)
);
INSERT INTO "workflow_output" VALUES('run_8ewbdf3yzys8jag4',NULL,'{"$error":"AttemptLost"}',1795893392000);
CREATE TABLE workflow_schedules (
    schedule_id TEXT PRIMARY KEY,
    schedule_name TEXT NOT NULL UNIQUE,
    workflow_name TEXT NOT NULL,
    workflow_class_name TEXT,
    schedule TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'ACTIVE',
    context TEXT NOT NULL
, "last_fired_at" TEXT DEFAULT NULL, "automatic_backfill" BOOLEAN NOT NULL DEFAULT FALSE, "cron_timezone" TEXT DEFAULT NULL, "queue_name" TEXT DEFAULT NULL, "application_name" TEXT DEFAULT NULL);
CREATE TABLE workflow_status (
    workflow_uuid TEXT PRIMARY KEY,
    status TEXT,
    name TEXT,
    authenticated_user TEXT,
    assumed_role TEXT,
    authenticated_roles TEXT,
    request TEXT,
    output TEXT,
    error TEXT,
    executor_id TEXT,
    created_at INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000),
    updated_at INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000),
    application_version TEXT,
    application_id TEXT,
    class_name TEXT DEFAULT NULL,
    config_name TEXT DEFAULT NULL,
    recovery_attempts INTEGER DEFAULT 0,
    queue_name TEXT,
    workflow_timeout_ms INTEGER,
    workflow_deadline_epoch_ms INTEGER,
    inputs TEXT,
    started_at_epoch_ms INTEGER,
    deduplication_id TEXT,
    priority INTEGER NOT NULL DEFAULT 0
, queue_partition_key TEXT, forked_from TEXT, "owner_xid" TEXT DEFAULT NULL, "parent_workflow_id" TEXT DEFAULT NULL, "serialization" TEXT DEFAULT NULL, "delay_until_epoch_ms" BIGINT DEFAULT NULL, "was_forked_from" BOOLEAN NOT NULL DEFAULT FALSE, "rate_limited" BOOLEAN NOT NULL DEFAULT FALSE, "completed_at" BIGINT, "attributes" TEXT, "schedule_name" TEXT, "debounce_deadline_epoch_ms" BIGINT DEFAULT NULL, "is_debounced" BOOLEAN NOT NULL DEFAULT FALSE, "application_name" TEXT DEFAULT NULL, "creator_xid" TEXT DEFAULT NULL);
INSERT INTO "workflow_status" VALUES('run_8ewbdf3yzys8jag4','ERROR','run_session',NULL,NULL,NULL,NULL,NULL,NULL,'worker-c1c9723f61394358',1795893392000,1795893392000,'1',NULL,NULL,NULL,1,'runs',NULL,NULL,NULL,1795893392000,NULL,0,NULL,NULL,NULL,NULL,'gitward_json',NULL,0,0,1795893392000,'null',NULL,NULL,0,'gitward','d12a3c2f-31c7-421d-8be6-7da92ae90c2b');
INSERT INTO "workflow_status" VALUES('run_5tgd68bt4dth0hfz','PENDING','run_session',NULL,NULL,NULL,NULL,NULL,NULL,'worker-c1c9723f61394358',1795893392000,1795893392000,'1',NULL,NULL,NULL,1,'runs',NULL,NULL,NULL,1795893392000,NULL,0,NULL,NULL,'3d65d8cf-a4f4-4061-a06e-d2b5eaf93ab1',NULL,'gitward_json',NULL,0,0,NULL,'null',NULL,NULL,0,'gitward','06096865-5cdb-496e-97cc-182791215ccd');
INSERT INTO "workflow_status" VALUES('run_aqc34eng8t0n2rmk','PENDING','run_session',NULL,NULL,NULL,NULL,NULL,NULL,'worker-c1c9723f61394358',1795893392000,1795893392000,'1',NULL,NULL,NULL,1,'runs',NULL,NULL,NULL,1795893392000,NULL,0,NULL,NULL,'b7a546ab-ae85-4644-a4ab-01aa2d729dab',NULL,'gitward_json',NULL,0,0,NULL,'null',NULL,NULL,0,'gitward','da4af320-24f8-432b-8388-b41ec39ec1ba');
INSERT INTO "workflow_status" VALUES('run_ajc1bapj5j4xkpv7','ENQUEUED','run_session',NULL,NULL,NULL,NULL,NULL,NULL,NULL,1795893392000,1795893392000,'1',NULL,NULL,NULL,0,'runs',NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,'gitward_json',NULL,0,0,NULL,'null',NULL,NULL,0,'gitward','2601cd32-db74-4cd8-ad2a-eed58dca52d7');
INSERT INTO "workflow_status" VALUES('run_fyjnngmt41k00h5d','ENQUEUED','run_session',NULL,NULL,NULL,NULL,NULL,NULL,NULL,1795893392000,1795893392000,'1',NULL,NULL,NULL,0,'runs',NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,'gitward_json',NULL,0,0,NULL,'null',NULL,NULL,0,'gitward','b140fb08-ef9e-4f56-97bd-1d1ab4a8f878');
CREATE INDEX ix_sessions_issuer_subject_created_at_id ON sessions (issuer, subject, created_at, id);
CREATE INDEX ix_runs_state ON runs (state);
CREATE INDEX ix_tickets_has_place_owner_number ON tickets (has_place, owner, number);
CREATE INDEX ix_turns_turn ON turns (turn);
CREATE INDEX ix_schedules_next_at ON schedules (next_at);
CREATE INDEX ix_schedules_issuer_subject_created_at ON schedules (issuer, subject, created_at);
CREATE UNIQUE INDEX ix_sessions_schedule_id_scheduled_for ON sessions (schedule_id, scheduled_for);
CREATE INDEX workflow_status_created_at_index ON workflow_status (created_at);
CREATE INDEX idx_workflow_topic ON notifications (destination_uuid, topic);
CREATE INDEX "idx_workflow_status_delayed" ON "workflow_status" ("delay_until_epoch_ms") WHERE status = 'DELAYED';
CREATE INDEX "idx_workflow_status_forked_from" ON "workflow_status" ("forked_from") WHERE "forked_from" IS NOT NULL;
CREATE INDEX "idx_workflow_status_parent_workflow_id" ON "workflow_status" ("parent_workflow_id") WHERE "parent_workflow_id" IS NOT NULL;
CREATE UNIQUE INDEX "uq_workflow_status_dedup_id" ON "workflow_status" ("queue_name", "deduplication_id") WHERE "deduplication_id" IS NOT NULL;
CREATE INDEX "idx_workflow_status_pending" ON "workflow_status" ("created_at") WHERE "status" = 'PENDING';
CREATE INDEX "idx_workflow_status_failed" ON "workflow_status" ("status", "created_at") WHERE "status" IN ('ERROR', 'CANCELLED', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED');
CREATE INDEX "idx_workflow_status_rate_limited" ON "workflow_status" ("queue_name", "started_at_epoch_ms") WHERE "rate_limited" = TRUE;
CREATE INDEX "idx_workflow_status_completed_at" ON "workflow_status" ("completed_at") WHERE "completed_at" IS NOT NULL;
CREATE INDEX "idx_workflow_status_started_at" ON "workflow_status" ("started_at_epoch_ms") WHERE "started_at_epoch_ms" IS NOT NULL;
CREATE INDEX "idx_workflow_status_schedule_name" ON "workflow_status" ("schedule_name") WHERE "schedule_name" IS NOT NULL;
CREATE UNIQUE INDEX "uq_application_versions_owner_version"
    ON application_versions ("application_name", "version_name")
    WHERE "application_name" IS NOT NULL;
CREATE UNIQUE INDEX "uq_application_versions_unclaimed_version"
    ON application_versions ("version_name")
    WHERE "application_name" IS NULL;
CREATE INDEX idx_workflow_input_retention
    ON workflow_input (retention_timestamp);
CREATE INDEX idx_workflow_output_retention
    ON workflow_output (retention_timestamp);
CREATE INDEX idx_operation_outputs_retention
    ON operation_outputs (retention_timestamp);
CREATE INDEX "idx_workflow_status_in_flight_v2" ON "workflow_status" ("queue_name", "status", "priority", "created_at", "application_name") WHERE "status" IN ('ENQUEUED', 'PENDING');
CREATE INDEX "idx_workflow_status_partition_dequeue_v3" ON "workflow_status" ("queue_name", "status", "queue_partition_key", "priority", "created_at", "workflow_uuid", "application_name") WHERE "status" IN ('ENQUEUED', 'PENDING') AND "queue_partition_key" IS NOT NULL;
CREATE INDEX "idx_operation_outputs_completed_at_function_name_v2" ON "operation_outputs" ("completed_at_epoch_ms", "function_name", "application_name");
CREATE INDEX "idx_workflow_status_deadline" ON "workflow_status" ("workflow_deadline_epoch_ms") WHERE "status" IN ('ENQUEUED', 'PENDING', 'DELAYED') AND "workflow_deadline_epoch_ms" IS NOT NULL;
CREATE INDEX "idx_application_versions_timestamp" ON "application_versions" ("version_timestamp" DESC);
CREATE INDEX "idx_application_versions_owner_timestamp" ON "application_versions" ("application_name", "version_timestamp" DESC);
COMMIT;
