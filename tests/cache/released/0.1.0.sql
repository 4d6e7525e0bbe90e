BEGIN TRANSACTION;
CREATE TABLE "_sqlite_migrations" (
   "id" INTEGER PRIMARY KEY,
   "migration_set" TEXT,
   "name" TEXT,
   "applied_at" TEXT
);
INSERT INTO "_sqlite_migrations" VALUES(1,'mcsync','m001_first_tables','2026-11-22T06:00:00+00:00');
INSERT INTO "_sqlite_migrations" VALUES(2,'mcsync','m002_views','2026-11-22T06:00:00+00:00');
INSERT INTO "_sqlite_migrations" VALUES(3,'mcsync','m003_data','2026-11-22T06:00:00+00:00');
INSERT INTO "_sqlite_migrations" VALUES(4,'mcsync','m004_webhooks','2026-11-22T06:00:00+00:00');
INSERT INTO "_sqlite_migrations" VALUES(5,'mcsync','m005_speed','2026-11-22T06:00:00+00:00');
CREATE TABLE civicrm_mailchimpsync_batch (
    id INTEGER PRIMARY KEY,
    mailchimp_list_id TEXT NOT NULL,
    mailchimp_batch_id TEXT UNIQUE,
    status TEXT NOT NULL,
    submitted_at TEXT NOT NULL,
    completed_at TEXT,
    finished_operations INTEGER NOT NULL DEFAULT 0,
    errored_operations INTEGER NOT NULL DEFAULT 0,
    total_operations INTEGER NOT NULL DEFAULT 0,
    response_processed INTEGER NOT NULL DEFAULT 0,
    account TEXT NOT NULL
) STRICT;
INSERT INTO "civicrm_mailchimpsync_batch" VALUES(1,'aaaaaaaaaa','6cf8130c42','finished','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',6,2,6,2,'http://127.0.0.1:8001/3.0');
INSERT INTO "civicrm_mailchimpsync_batch" VALUES(2,'aaaaaaaaaa','83678a5aa3','finished','2026-11-23T06:04:00Z','2026-11-23T06:04:00Z',4,0,4,2,'http://127.0.0.1:8001/3.0');
INSERT INTO "civicrm_mailchimpsync_batch" VALUES(3,'aaaaaaaaaa','6da185cc8e','finished','2026-11-24T06:10:00Z','2026-11-24T06:10:00Z',1,1,1,2,'http://127.0.0.1:8001/3.0');
INSERT INTO "civicrm_mailchimpsync_batch" VALUES(4,'aaaaaaaaaa','f01abb8ba3','finished','2026-11-24T06:11:00Z','2026-11-24T06:11:00Z',1,0,1,2,'http://127.0.0.1:8001/3.0');
INSERT INTO "civicrm_mailchimpsync_batch" VALUES(5,'aaaaaaaaaa','edc82ad589','finished','2026-11-25T06:13:00Z','2026-11-25T06:13:00Z',1,1,1,2,'http://127.0.0.1:8001/3.0');
INSERT INTO "civicrm_mailchimpsync_batch" VALUES(6,'aaaaaaaaaa','f8ce75f4ba','pending','2026-11-25T06:14:00Z',NULL,0,0,1,0,'http://127.0.0.1:8001/3.0');
INSERT INTO "civicrm_mailchimpsync_batch" VALUES(7,'aaaaaaaaaa',NULL,'claimed','2026-11-25T06:15:00Z',NULL,0,0,1,0,'http://127.0.0.1:8001/3.0');
CREATE TABLE civicrm_mailchimpsync_cache (
    id INTEGER PRIMARY KEY,
    mailchimp_list_id TEXT NOT NULL,
    mailchimp_member_id TEXT,
    mailchimp_email TEXT,
    mailchimp_status TEXT,
    mailchimp_updated TEXT,
    mailchimp_data TEXT,
    civicrm_groups TEXT,
    civicrm_data TEXT,
    civicrm_contact_id INTEGER,
    sync_status TEXT NOT NULL DEFAULT 'todo',
    sync_reason TEXT,
    email_key TEXT,
    unique_contact TEXT,
    lost_contact_id INTEGER,
    is_shared INTEGER NOT NULL DEFAULT 0,
    moved_from TEXT,
    owned_by INTEGER,
    is_data_due INTEGER NOT NULL DEFAULT 1,
    is_looked_up INTEGER NOT NULL DEFAULT 0,
    refused_at TEXT,
    refusal TEXT,
    reconfirmed_at TEXT,
    seen_fetch INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(1,'aaaaaaaaaa','0accb222e56b2e9b3faaf5c597a27bdd','contact-purged@example.org','subscribed','2026-11-22T06:01:00Z','{"status":"subscribed","status@":"2026-11-22T06:01:00Z","first_name":"Contact-Purged","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z","interest-cccccccccc":false,"interest-cccccccccc@":"2026-11-22T06:01:00Z"}',NULL,NULL,NULL,'ok','contact-deleted','contact-purged@example.org','d4255bff80058b3e62e4d10a53893c96',16,0,NULL,16,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(2,'aaaaaaaaaa','e64701ebbef066ce4e34e59e5c715959','muted@example.org','unsubscribed','2026-11-23T06:04:00Z','{"status":"unsubscribed","status@":"2026-11-22T06:01:00Z","first_name":"Muted","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z","interest-cccccccccc":false,"interest-cccccccccc@":"2026-11-22T06:01:00Z","gated":true}','{"111":{"status":"Added","date":"2026-11-22T06:01:00Z"}}',NULL,8,'fail','opt-out','muted@example.org','722a71b386a5cddf6a4593bfdfc33f7e',NULL,0,NULL,8,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(3,'aaaaaaaaaa','49cef41e6b394dd4128e65dc0708a38b','unsubscribe-under-way@example.org','subscribed','2026-11-22T06:01:00Z','{"status":"subscribed","status@":"2026-11-22T06:01:00Z","first_name":"Unsubscribe-Under-Way","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z","interest-cccccccccc":false,"interest-cccccccccc@":"2026-11-22T06:01:00Z"}','{"111":{"status":"Removed","date":"2026-11-25T06:14:00Z"}}',NULL,21,'live','removed-in-civicrm','unsubscribe-under-way@example.org','edfdd985ba15d9f0b924e94b3be4fac5',NULL,0,NULL,21,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(4,'aaaaaaaaaa','ae680fb1acb04932c6138316f9e4175a','other-address-that-leaves@example.org','unsubscribed','2026-11-23T06:03:00Z','{"status":"unsubscribed","status@":"2026-11-23T06:03:00Z","first_name":"Other-Address","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z","interest-cccccccccc":false,"interest-cccccccccc@":"2026-11-22T06:01:00Z"}','{"111":{"status":"Added","date":"2026-11-22T06:01:00Z"}}',NULL,20,'fail','other-address-subscribed','other-address-that-leaves@example.org','479f93761a55af724f82d1ac67ee6e6b',NULL,0,NULL,20,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(5,'aaaaaaaaaa','6223d12328ddad5f825757cdcfee0ab1','archived@example.org','archived','2026-11-23T06:03:00Z','{"status":"archived","status@":"2026-11-23T06:03:00Z","first_name":"Archived","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z","interest-cccccccccc":false,"interest-cccccccccc@":"2026-11-22T06:01:00Z"}','{"111":{"status":"Added","date":"2026-11-22T06:01:00Z"}}',NULL,13,'ok','archived-at-mailchimp','archived@example.org','8c02ef39c0b61c91c085ac00c81efdad',NULL,0,NULL,13,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(6,'aaaaaaaaaa','1014c23c04c8b01927389bb935c53c6c','new-in-civicrm@example.org','subscribed','2026-11-22T06:01:00Z','{"status":"subscribed","status@":"2026-11-22T06:01:00Z","first_name":"New-In-Civicrm","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z","interest-cccccccccc":false,"interest-cccccccccc@":"2026-11-22T06:01:00Z"}','{"111":{"status":"Added","date":null}}',NULL,65,'ok','subscribed-at-mailchimp','new-in-civicrm@example.org','617810fc5465fe24a5c2e9ed504a2c9a',NULL,0,NULL,65,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(7,'aaaaaaaaaa','b98368e7d44a202dbc9e13bf819931bf','in-sync-with-tag@example.org','subscribed','2026-11-22T06:01:00Z','{"status":"subscribed","status@":"2026-11-22T06:01:00Z","first_name":"In-Sync-With-Tag","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z","interest-cccccccccc":false,"interest-cccccccccc@":"2026-11-22T06:01:00Z"}','{"111":{"status":"Added","date":"2026-11-22T06:01:00Z"}}','{"mcsync":{"tags":{"CiviCRM: Donor":true}},"tags":{"seen":["Donor"]}}',5,'ok','in-agreement','in-sync-with-tag@example.org','2a0804edc7565f32c7e66eb654590095',NULL,0,NULL,5,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(8,'aaaaaaaaaa','c5c724425e95c62048552f0483532ec0','removed@example.org','unsubscribed','2026-11-23T06:04:00Z','{"status":"unsubscribed","status@":"2026-11-23T06:03:00Z","first_name":"Removed","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z","interest-cccccccccc":false,"interest-cccccccccc@":"2026-11-22T06:01:00Z"}','{"111":{"status":"Removed","date":"2026-11-23T06:03:00Z"}}',NULL,18,'ok','in-agreement','removed@example.org','a5db6cbffac66b4416c5c441b07abbdc',NULL,0,NULL,18,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(9,'aaaaaaaaaa','b0292a2fead535e4b15478d5e0a3b77b','left-and-asked@example.org','pending','2026-11-24T06:11:00Z','{"status":"pending","status@":"2026-11-24T06:09:00Z","first_name":"Left-And-Asked","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z","interest-cccccccccc":false,"interest-cccccccccc@":"2026-11-22T06:01:00Z"}','{"111":{"status":"Added","date":"2026-11-24T06:09:00Z"}}',NULL,10,'ok','compliance-state','left-and-asked@example.org','43e082740166ade51e2686f73cb4bec4',NULL,0,NULL,10,0,1,NULL,NULL,'2026-11-24T06:09:00Z',3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(10,'aaaaaaaaaa','fff41ee37fc935142f0ec108caec5e5f','moved-to-here@example.org','subscribed','2026-11-25T06:17:00Z','{"status":"subscribed","status@":"2026-11-22T06:01:00Z","first_name":"Moved-At-Mailchimp","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z","interest-cccccccccc":false,"interest-cccccccccc@":"2026-11-22T06:01:00Z"}','{"111":{"status":"Added","date":"2026-11-22T06:01:00Z"}}',NULL,23,'todo','in-agreement','moved-to-here@example.org','bfb3ea4634d6b9f66d05dc8298d67a0b',NULL,0,'moved-at-mailchimp@example.org',23,1,0,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(11,'aaaaaaaaaa','1564c8e39f9dd08fe4256a31fddbf055','ambiguous@example.org','subscribed','2026-11-22T06:01:00Z','{"status":"subscribed","status@":"2026-11-22T06:01:00Z","first_name":"Ambiguous","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z","interest-cccccccccc":false,"interest-cccccccccc@":"2026-11-22T06:01:00Z"}',NULL,NULL,NULL,'fail','ambiguous-contact','ambiguous@example.org','1955a43695168f780363c4e3c4dfedb1',NULL,0,NULL,NULL,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(12,'aaaaaaaaaa','faaef0dacbe548c3d39465bea1b7bd1b','contact-trashed@example.org','subscribed','2026-11-22T06:01:00Z','{"status":"subscribed","status@":"2026-11-22T06:01:00Z","first_name":"Contact-Trashed","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z","interest-cccccccccc":false,"interest-cccccccccc@":"2026-11-22T06:01:00Z"}',NULL,NULL,NULL,'ok','contact-deleted','contact-trashed@example.org','5db8fffa3b76fc9774669f3825107cf3',15,0,NULL,15,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(13,'aaaaaaaaaa','6e4943872e2d64c84543498f0f47bb20','in-sync-with-interest@example.org','subscribed','2026-11-22T06:01:00Z','{"status":"subscribed","status@":"2026-11-22T06:01:00Z","first_name":"In-Sync-With-Interest","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z","interest-cccccccccc":true,"interest-cccccccccc@":"2026-11-22T06:01:00Z"}','{"111":{"status":"Added","date":"2026-11-22T06:01:00Z"},"222":{"status":"Added","date":"2026-11-22T06:01:00Z"}}',NULL,7,'ok','in-agreement','in-sync-with-interest@example.org','fbbe15ae42173f387bc761edb14a7fdb',NULL,0,NULL,7,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(14,'aaaaaaaaaa','4731f6da84fee3a8127ab0a48f2b308b','other-address@example.org','subscribed','2026-11-22T06:01:00Z','{"status":"subscribed","status@":"2026-11-22T06:01:00Z","first_name":"Other-Address","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z","interest-cccccccccc":false,"interest-cccccccccc@":"2026-11-22T06:01:00Z"}','{"111":{"status":"Added","date":"2026-11-22T06:01:00Z"}}',NULL,20,'ok','in-agreement','other-address@example.org','77917d8075874b49caa6b7790d6c3b22',NULL,0,NULL,20,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(15,'aaaaaaaaaa',NULL,'vanished@example.org',NULL,'2026-11-22T06:01:00Z','{"status":null,"status@":"2026-11-23T06:04:00Z","first_name":"Vanished","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z","interest-cccccccccc":false,"interest-cccccccccc@":"2026-11-22T06:01:00Z"}','{"111":{"status":"Added","date":"2026-11-22T06:01:00Z"}}',NULL,12,'ok','vanished-from-mailchimp','vanished@example.org','159693347c278dead2077a2e99a63e0a',NULL,0,NULL,12,0,1,NULL,NULL,NULL,1);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(16,'aaaaaaaaaa','87f5b4d75a30a81413ccf57618be9d9a','in-sync@example.org','subscribed','2026-11-22T06:01:00Z','{"status":"subscribed","status@":"2026-11-22T06:01:00Z","first_name":"In-Sync","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z","interest-cccccccccc":false,"interest-cccccccccc@":"2026-11-22T06:01:00Z"}','{"111":{"status":"Added","date":"2026-11-22T06:01:00Z"}}',NULL,4,'ok','in-agreement','in-sync@example.org','b39ba8e882c7d08bd9683ce425e040f2',NULL,0,NULL,4,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(17,'aaaaaaaaaa','6d7e2020473be65195231bf629b1d01c','merged@example.org','subscribed','2026-11-23T06:04:00Z','{"status":"subscribed","status@":"2026-11-22T06:01:00Z","first_name":"Merged-Survivor","first_name@":"2026-11-23T06:03:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z","interest-cccccccccc":false,"interest-cccccccccc@":"2026-11-22T06:01:00Z"}','{"111":{"status":"Added","date":"2026-11-22T06:01:00Z"}}',NULL,66,'ok','in-agreement','merged@example.org','2f6f10bab637dc9d2847926f8201fc39',NULL,0,NULL,17,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(18,'aaaaaaaaaa','770398f9dc5cc6d6ada8f7999f664c0e','left@example.org','unsubscribed','2026-11-23T06:03:00Z','{"status":"unsubscribed","status@":"2026-11-23T06:03:00Z","first_name":"Left","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z","interest-cccccccccc":false,"interest-cccccccccc@":"2026-11-22T06:01:00Z"}','{"111":{"status":"Added","date":"2026-11-22T06:01:00Z"}}',NULL,9,'ok','left-at-mailchimp','left@example.org','cd74266ebcd81f3e2fa855250e3bff21',NULL,0,NULL,9,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(19,'aaaaaaaaaa','a5b4aac28480ed22d669fe259873e18d','unsubscribe-claimed@example.org','subscribed','2026-11-22T06:01:00Z','{"status":"subscribed","status@":"2026-11-22T06:01:00Z","first_name":"Unsubscribe-Claimed","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z","interest-cccccccccc":false,"interest-cccccccccc@":"2026-11-22T06:01:00Z"}','{"111":{"status":"Removed","date":"2026-11-25T06:15:00Z"}}',NULL,22,'live','removed-in-civicrm','unsubscribe-claimed@example.org','49478e40f0482b4f7e87aab06a5dba68',NULL,0,NULL,22,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(20,'aaaaaaaaaa','bd13d1023e586ec7630bd8a1b7b04dc5','shared-address@example.org','subscribed','2026-11-22T06:01:00Z','{"status":"subscribed","status@":"2026-11-22T06:01:00Z","first_name":"Shared-Address","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z","interest-cccccccccc":false,"interest-cccccccccc@":"2026-11-22T06:01:00Z"}','{"111":{"status":"Added","date":"2026-11-22T06:01:00Z"}}',NULL,55,'ok','in-agreement','shared-address@example.org','a2e94831508800d114e5931196672e0e',NULL,1,NULL,55,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(21,'aaaaaaaaaa','eb6455871810b51d03d3f906a06a8e6f','cleaned@example.org','cleaned','2026-11-23T06:03:00Z','{"status":"cleaned","status@":"2026-11-23T06:03:00Z","first_name":"Cleaned","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z","interest-cccccccccc":false,"interest-cccccccccc@":"2026-11-22T06:01:00Z"}','{"111":{"status":"Added","date":"2026-11-22T06:01:00Z"}}',NULL,14,'ok','cleaned-at-mailchimp','cleaned@example.org','e74ca3f4f6e86df085e86d65f697bd50',NULL,0,NULL,14,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(22,'aaaaaaaaaa','72ccfe899f99e440b1f9c07bd63434eb','unknown-and-out@example.org','unsubscribed','2026-11-22T06:01:00Z','{"status":"unsubscribed","status@":"2026-11-22T06:01:00Z","first_name":"Unknown-And-Out","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z","interest-cccccccccc":false,"interest-cccccccccc@":"2026-11-22T06:01:00Z"}',NULL,NULL,NULL,'ok','unknown-and-not-subscribed','unknown-and-out@example.org','bcc1c5b78a984f836b25ab527ec2ec3d',NULL,0,NULL,NULL,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(23,'aaaaaaaaaa','6ec60543488553077058593a72a6e7d3','in-sync-with-job@example.org','subscribed','2026-11-22T06:01:00Z','{"status":"subscribed","status@":"2026-11-22T06:01:00Z","first_name":"In-Sync-With-Job","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z","interest-cccccccccc":false,"interest-cccccccccc@":"2026-11-22T06:01:00Z"}','{"111":{"status":"Added","date":"2026-11-22T06:01:00Z"}}','{"mcsync":{"merge_fields":{"JOB":"Quarryman"}},"fields":{"seen":{"job_title":"Quarryman"},"as":"[[\"JOB\", \"job_title\", \"text\"]]","sent":{"JOB":"Quarryman"}}}',6,'ok','in-agreement','in-sync-with-job@example.org','8551b9a8fd88b0918d49301b82d1c038',NULL,0,NULL,6,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(24,'aaaaaaaaaa','360fd1b8d226bcab7f6bd62825f2f521','trusted@example.org','subscribed','2026-11-22T06:01:00Z','{"status":"subscribed","status@":"2026-11-22T06:01:00Z","first_name":"Trusted","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z","interest-cccccccccc":false,"interest-cccccccccc@":"2026-11-22T06:01:00Z"}','{"111":{"status":"Removed","date":"2026-11-24T06:06:00Z"}}',NULL,19,'ok','trust-mailchimp','trusted@example.org','0125217b30f8bca2dc2885a6def37b7f',NULL,0,NULL,19,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(25,'aaaaaaaaaa','071b6fc625eed17320766605d0dacacd','left-and-to-be-asked@example.org','unsubscribed','2026-11-23T06:03:00Z','{"status":"unsubscribed","status@":"2026-11-23T06:03:00Z","first_name":"Left-And-To-Be-Asked","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z","interest-cccccccccc":false,"interest-cccccccccc@":"2026-11-22T06:01:00Z"}','{"111":{"status":"Added","date":"2026-11-25T06:13:00Z"}}',NULL,11,'redo','compliance-state','left-and-to-be-asked@example.org','9f2a372f3798ff43e389485c6b2d7e67',NULL,0,NULL,11,0,1,NULL,NULL,'2026-11-25T06:13:00Z',3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(26,'aaaaaaaaaa','9d62803a41ee6da68e44d239bf81ef25','leaves-by-webhook@example.org','subscribed','2026-11-22T06:01:00Z','{"status":"subscribed","status@":"2026-11-22T06:01:00Z","first_name":"Leaves-By-Webhook","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z","interest-cccccccccc":false,"interest-cccccccccc@":"2026-11-22T06:01:00Z"}','{"111":{"status":"Added","date":"2026-11-22T06:01:00Z"}}',NULL,24,'ok','in-agreement','leaves-by-webhook@example.org','1afd9f016b090b5532689de7c74f39ae',NULL,0,NULL,24,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(27,'aaaaaaaaaa','baa0bdd6fcaf1115853a265d152b83d7','without-history@example.org','subscribed','2026-11-22T06:01:00Z','{"status":"subscribed","status@":"2026-11-22T06:01:00Z","first_name":"Without-History","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z","interest-cccccccccc":false,"interest-cccccccccc@":"2026-11-22T06:01:00Z"}','{"111":{"status":"Added","date":"0001-01-01T00:00:00Z"}}',NULL,59,'ok','in-agreement','without-history@example.org','749f58f1cb48e0d6c8c68648f358ad54',NULL,0,NULL,59,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(28,'bbbbbbbbbb','9d232b43762928f90b8446b4a2da7b18','trustee12@example.org','subscribed','2026-11-22T06:01:00Z','{"status":"subscribed","status@":"2026-11-22T06:01:00Z","first_name":"Trustee12","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z"}','{"333":{"status":"Added","date":"2026-11-22T06:01:00Z"}}',NULL,37,'ok','in-agreement','trustee12@example.org','b1f3ae1dacd554aeaa6363e02370f4f5',NULL,0,NULL,37,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(29,'bbbbbbbbbb','16425dfd28c24af88b547d087e27f36e','trustee25@example.org','subscribed','2026-11-22T06:01:00Z','{"status":"subscribed","status@":"2026-11-22T06:01:00Z","first_name":"Trustee25","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z"}','{"333":{"status":"Added","date":"2026-11-22T06:01:00Z"}}',NULL,50,'ok','in-agreement','trustee25@example.org','2dc715efe04560bff942b96b7f92b03c',NULL,0,NULL,50,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(30,'bbbbbbbbbb','ac95987736d2bcba70d1a2f22fdf0806','trustee4@example.org','subscribed','2026-11-22T06:01:00Z','{"status":"subscribed","status@":"2026-11-22T06:01:00Z","first_name":"Trustee4","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z"}','{"333":{"status":"Removed","date":"2026-11-25T06:16:00Z"}}',NULL,29,'todo','in-agreement','trustee4@example.org','4ff8c3d1b375974fb1c42695afaaf7dd',NULL,0,NULL,29,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(31,'bbbbbbbbbb','ed38f32d78a4cab142ed85158a9ff942','trustee17@example.org','subscribed','2026-11-22T06:01:00Z','{"status":"subscribed","status@":"2026-11-22T06:01:00Z","first_name":"Trustee17","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z"}','{"333":{"status":"Added","date":"2026-11-22T06:01:00Z"}}',NULL,42,'ok','in-agreement','trustee17@example.org','cbcc2ba3e6e5a36100a37c210bccb324',NULL,0,NULL,42,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(32,'bbbbbbbbbb','3019a8c7e51e4e24e7d1b0e588abfbb2','trustee9@example.org','subscribed','2026-11-22T06:01:00Z','{"status":"subscribed","status@":"2026-11-22T06:01:00Z","first_name":"Trustee9","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z"}','{"333":{"status":"Removed","date":"2026-11-25T06:16:00Z"}}',NULL,34,'todo','in-agreement','trustee9@example.org','69d14157ed85e60208043ed69806b60c',NULL,0,NULL,34,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(33,'bbbbbbbbbb','f058496adc57941a458c9676b31edf4d','trustee22@example.org','subscribed','2026-11-22T06:01:00Z','{"status":"subscribed","status@":"2026-11-22T06:01:00Z","first_name":"Trustee22","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z"}','{"333":{"status":"Added","date":"2026-11-22T06:01:00Z"}}',NULL,47,'ok','in-agreement','trustee22@example.org','e5a4a92a20f5f21356e39461f4287153',NULL,0,NULL,47,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(34,'bbbbbbbbbb','e7357ec4679a5aaa01cd5791386ff019','trustee1@example.org','subscribed','2026-11-22T06:01:00Z','{"status":"subscribed","status@":"2026-11-22T06:01:00Z","first_name":"Trustee1","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z"}','{"333":{"status":"Removed","date":"2026-11-25T06:16:00Z"}}',NULL,26,'todo','in-agreement','trustee1@example.org','07d6570bf42628a30f65018c2440b8f4',NULL,0,NULL,26,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(35,'bbbbbbbbbb','6d36202d2880432cf9600786991f7c56','trustee14@example.org','subscribed','2026-11-22T06:01:00Z','{"status":"subscribed","status@":"2026-11-22T06:01:00Z","first_name":"Trustee14","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z"}','{"333":{"status":"Added","date":"2026-11-22T06:01:00Z"}}',NULL,39,'ok','in-agreement','trustee14@example.org','83a9bede279634b45e4457178062743b',NULL,0,NULL,39,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(36,'bbbbbbbbbb','93d36ec8d586b331b51a43f6a9d76aeb','trustee27@example.org','subscribed','2026-11-22T06:01:00Z','{"status":"subscribed","status@":"2026-11-22T06:01:00Z","first_name":"Trustee27","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z"}','{"333":{"status":"Added","date":"2026-11-22T06:01:00Z"}}',NULL,52,'ok','in-agreement','trustee27@example.org','ff7d26b05b0640c5ad23aca2dc842f82',NULL,0,NULL,52,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(37,'bbbbbbbbbb','4e4ddd372281bf9203471313a5dcaf75','trustee6@example.org','subscribed','2026-11-22T06:01:00Z','{"status":"subscribed","status@":"2026-11-22T06:01:00Z","first_name":"Trustee6","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z"}','{"333":{"status":"Removed","date":"2026-11-25T06:16:00Z"}}',NULL,31,'todo','in-agreement','trustee6@example.org','21aed4922e36775565a519cd0c9c7723',NULL,0,NULL,31,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(38,'bbbbbbbbbb','fba2ee6adc7a682554d9437e41db0aae','trustee19@example.org','subscribed','2026-11-22T06:01:00Z','{"status":"subscribed","status@":"2026-11-22T06:01:00Z","first_name":"Trustee19","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z"}','{"333":{"status":"Added","date":"2026-11-22T06:01:00Z"}}',NULL,44,'ok','in-agreement','trustee19@example.org','9d823c6461a68366b4846f5868be326a',NULL,0,NULL,44,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(39,'bbbbbbbbbb','456884b99791ea4845d636324821190e','trustee11@example.org','subscribed','2026-11-22T06:01:00Z','{"status":"subscribed","status@":"2026-11-22T06:01:00Z","first_name":"Trustee11","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z"}','{"333":{"status":"Removed","date":"2026-11-25T06:16:00Z"}}',NULL,36,'todo','in-agreement','trustee11@example.org','3b8752186846c607bbe5320df4f83552',NULL,0,NULL,36,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(40,'bbbbbbbbbb','9f0d280a2119e97417d090dbe271e463','trustee24@example.org','subscribed','2026-11-22T06:01:00Z','{"status":"subscribed","status@":"2026-11-22T06:01:00Z","first_name":"Trustee24","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z"}','{"333":{"status":"Added","date":"2026-11-22T06:01:00Z"}}',NULL,49,'ok','in-agreement','trustee24@example.org','b75ab9ea9bb6d2190ac487995119f099',NULL,0,NULL,49,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(41,'bbbbbbbbbb','74b99620125d3c0b1f806f71a0709224','trustee3@example.org','subscribed','2026-11-22T06:01:00Z','{"status":"subscribed","status@":"2026-11-22T06:01:00Z","first_name":"Trustee3","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z"}','{"333":{"status":"Removed","date":"2026-11-25T06:16:00Z"}}',NULL,28,'todo','in-agreement','trustee3@example.org','d98c67cc6ee708a8c345f4c38132383a',NULL,0,NULL,28,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(42,'bbbbbbbbbb','fc87bf456c1517b4c560b6c9e1b40e1e','trustee16@example.org','subscribed','2026-11-22T06:01:00Z','{"status":"subscribed","status@":"2026-11-22T06:01:00Z","first_name":"Trustee16","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z"}','{"333":{"status":"Added","date":"2026-11-22T06:01:00Z"}}',NULL,41,'ok','in-agreement','trustee16@example.org','555fcf9ea25714ba12254a4edd53f381',NULL,0,NULL,41,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(43,'bbbbbbbbbb','01a05a3d4aab2b44b91da364cacc6f9e','trustee29@example.org','subscribed','2026-11-22T06:01:00Z','{"status":"subscribed","status@":"2026-11-22T06:01:00Z","first_name":"Trustee29","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z"}','{"333":{"status":"Added","date":"2026-11-22T06:01:00Z"}}',NULL,54,'ok','in-agreement','trustee29@example.org','d1333770d5c720cb61049fda3975aec8',NULL,0,NULL,54,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(44,'bbbbbbbbbb','5e98b4783f0790047c2c414b9d94475a','trustee8@example.org','subscribed','2026-11-22T06:01:00Z','{"status":"subscribed","status@":"2026-11-22T06:01:00Z","first_name":"Trustee8","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z"}','{"333":{"status":"Removed","date":"2026-11-25T06:16:00Z"}}',NULL,33,'todo','in-agreement','trustee8@example.org','f364e552a8f7575b19860d04698df669',NULL,0,NULL,33,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(45,'bbbbbbbbbb','3716ef83d327983daa78f23d2df3d7a2','trustee21@example.org','subscribed','2026-11-22T06:01:00Z','{"status":"subscribed","status@":"2026-11-22T06:01:00Z","first_name":"Trustee21","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z"}','{"333":{"status":"Added","date":"2026-11-22T06:01:00Z"}}',NULL,46,'ok','in-agreement','trustee21@example.org','6f384d24dc67636c6865628fc5afb1b0',NULL,0,NULL,46,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(46,'bbbbbbbbbb','64927279c360fa32a5a1cf8ab3d4ef47','trustee0@example.org','subscribed','2026-11-22T06:01:00Z','{"status":"subscribed","status@":"2026-11-22T06:01:00Z","first_name":"Trustee0","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z"}','{"333":{"status":"Removed","date":"2026-11-25T06:16:00Z"}}',NULL,25,'todo','in-agreement','trustee0@example.org','9169fb06af9799fc20e6cfb9f5c7f951',NULL,0,NULL,25,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(47,'bbbbbbbbbb','f4132cddbcf06c61688330936ee8ba07','trustee13@example.org','subscribed','2026-11-22T06:01:00Z','{"status":"subscribed","status@":"2026-11-22T06:01:00Z","first_name":"Trustee13","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z"}','{"333":{"status":"Added","date":"2026-11-22T06:01:00Z"}}',NULL,38,'ok','in-agreement','trustee13@example.org','0d3d62d8e307a60d6fc6254551e9b498',NULL,0,NULL,38,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(48,'bbbbbbbbbb','08cf10f5c6fd5b5c13f55173a31e6510','trustee26@example.org','subscribed','2026-11-22T06:01:00Z','{"status":"subscribed","status@":"2026-11-22T06:01:00Z","first_name":"Trustee26","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z"}','{"333":{"status":"Added","date":"2026-11-22T06:01:00Z"}}',NULL,51,'ok','in-agreement','trustee26@example.org','8910caab1677b21ebea57ad0ae0b6fdf',NULL,0,NULL,51,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(49,'bbbbbbbbbb','910ebef34f01514492ed24854215c4b0','trustee5@example.org','subscribed','2026-11-22T06:01:00Z','{"status":"subscribed","status@":"2026-11-22T06:01:00Z","first_name":"Trustee5","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z"}','{"333":{"status":"Removed","date":"2026-11-25T06:16:00Z"}}',NULL,30,'todo','in-agreement','trustee5@example.org','ab42788ce9a7e8ae7726e7fade23b780',NULL,0,NULL,30,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(50,'bbbbbbbbbb','ce5fd5e444f74d6b7ff84272bc0ce050','trustee18@example.org','subscribed','2026-11-22T06:01:00Z','{"status":"subscribed","status@":"2026-11-22T06:01:00Z","first_name":"Trustee18","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z"}','{"333":{"status":"Added","date":"2026-11-22T06:01:00Z"}}',NULL,43,'ok','in-agreement','trustee18@example.org','2715e05f1d17f4bfc6063d863a4572c7',NULL,0,NULL,43,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(51,'bbbbbbbbbb','8b54af16c089a15bf69f596585aba5ea','trustee10@example.org','subscribed','2026-11-22T06:01:00Z','{"status":"subscribed","status@":"2026-11-22T06:01:00Z","first_name":"Trustee10","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z"}','{"333":{"status":"Removed","date":"2026-11-25T06:16:00Z"}}',NULL,35,'todo','in-agreement','trustee10@example.org','c51af61323b83760cd67003bc67f75af',NULL,0,NULL,35,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(52,'bbbbbbbbbb','6b6b24f3b6c5c30bcda569ca7ff96c5f','trustee23@example.org','subscribed','2026-11-22T06:01:00Z','{"status":"subscribed","status@":"2026-11-22T06:01:00Z","first_name":"Trustee23","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z"}','{"333":{"status":"Added","date":"2026-11-22T06:01:00Z"}}',NULL,48,'ok','in-agreement','trustee23@example.org','40ee5de5572843721c4655c722a130f6',NULL,0,NULL,48,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(53,'bbbbbbbbbb','6e4977cdfbcbe34195b41eef7d645c93','trustee2@example.org','subscribed','2026-11-22T06:01:00Z','{"status":"subscribed","status@":"2026-11-22T06:01:00Z","first_name":"Trustee2","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z"}','{"333":{"status":"Removed","date":"2026-11-25T06:16:00Z"}}',NULL,27,'todo','in-agreement','trustee2@example.org','63200bc72a587a01d4c7c2f152b97897',NULL,0,NULL,27,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(54,'bbbbbbbbbb','2ce1c84e9d4080862db17f9caf521377','trustee15@example.org','subscribed','2026-11-22T06:01:00Z','{"status":"subscribed","status@":"2026-11-22T06:01:00Z","first_name":"Trustee15","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z"}','{"333":{"status":"Added","date":"2026-11-22T06:01:00Z"}}',NULL,40,'ok','in-agreement','trustee15@example.org','def373995dc8861323a7187caedb33de',NULL,0,NULL,40,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(55,'bbbbbbbbbb','ebbb4823fee9ecaad7d6c4e889c0abb8','trustee28@example.org','subscribed','2026-11-22T06:01:00Z','{"status":"subscribed","status@":"2026-11-22T06:01:00Z","first_name":"Trustee28","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z"}','{"333":{"status":"Added","date":"2026-11-22T06:01:00Z"}}',NULL,53,'ok','in-agreement','trustee28@example.org','5ac6db6b9138922472866e080afcef25',NULL,0,NULL,53,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(56,'bbbbbbbbbb','a1c1cb937e48f0193110f782b57d241b','trustee7@example.org','subscribed','2026-11-22T06:01:00Z','{"status":"subscribed","status@":"2026-11-22T06:01:00Z","first_name":"Trustee7","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z"}','{"333":{"status":"Removed","date":"2026-11-25T06:16:00Z"}}',NULL,32,'todo','in-agreement','trustee7@example.org','7cf8894d6468c8b42b07db323b1536c6',NULL,0,NULL,32,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(57,'bbbbbbbbbb','5cff8f89a9d069b571b174f37ff3fa67','trustee20@example.org','subscribed','2026-11-22T06:01:00Z','{"status":"subscribed","status@":"2026-11-22T06:01:00Z","first_name":"Trustee20","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z"}','{"333":{"status":"Added","date":"2026-11-22T06:01:00Z"}}',NULL,45,'ok','in-agreement','trustee20@example.org','f8cbf11f97d8d4c579e730bd9736f20d',NULL,0,NULL,45,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(58,'aaaaaaaaaa',NULL,NULL,NULL,NULL,NULL,'{"111":{"status":"Added","date":"2026-11-22T06:01:00Z"}}',NULL,56,'ok','in-agreement',NULL,NULL,NULL,0,NULL,NULL,0,0,NULL,NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(59,'aaaaaaaaaa',NULL,'forgotten@example.org',NULL,NULL,NULL,'{"111":{"status":"Added","date":"2026-11-22T06:01:00Z"}}',NULL,60,'fail','forgotten-email','forgotten@example.org',NULL,NULL,0,NULL,60,0,0,'2026-11-22T06:01:00Z','forgotten-email',NULL,0);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(60,'aaaaaaaaaa',NULL,'refused-for-ever@example.org',NULL,NULL,NULL,'{"111":{"status":"Added","date":"2026-11-22T06:01:00Z"}}',NULL,61,'fail','refused-by-mailchimp','refused-for-ever@example.org',NULL,NULL,0,NULL,61,0,0,'2026-11-22T06:01:00Z','refused-by-mailchimp',NULL,0);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(62,'aaaaaaaaaa',NULL,NULL,NULL,NULL,NULL,'{"111":{"status":"Added","date":"2026-11-22T06:01:00Z"}}',NULL,63,'fail','no-usable-address',NULL,NULL,NULL,0,NULL,NULL,0,0,NULL,NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(63,'aaaaaaaaaa','8777b195769b44fb1ee1eea64abb03ff','new-at-mailchimp@example.org','subscribed','2026-11-22T06:01:00Z','{"status":"subscribed","status@":"2026-11-22T06:01:00Z","first_name":"New-At-Mailchimp","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z","interest-cccccccccc":false,"interest-cccccccccc@":"0001-01-01T00:00:00Z"}','{"111":{"status":"Added","date":"2026-11-22T06:01:00Z"}}',NULL,64,'ok','in-agreement','new-at-mailchimp@example.org','332e21bccf26de2a59a3dd24ad3babe0',NULL,0,NULL,64,0,0,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(64,'aaaaaaaaaa','b66b37677ee526cb54d31ecec05b5d15','signs-up-despite-opt-out@example.org','subscribed','2026-11-23T06:04:00Z','{"status":"subscribed","status@":"2026-11-23T06:03:00Z","first_name":"Signs-Up-Despite-Opt-Out","first_name@":"2026-11-22T06:01:00Z","last_name":"Flintstone","last_name@":"2026-11-22T06:01:00Z","interest-cccccccccc":false,"interest-cccccccccc@":"2026-11-23T06:03:00Z"}','{"111":{"status":"Added","date":"2026-11-22T06:01:00Z"}}',NULL,62,'ok','signed-up-despite-opt-out','signs-up-despite-opt-out@example.org','a99a7dc213b56cd148220ef6dbb46b83',NULL,0,NULL,62,0,1,NULL,NULL,NULL,3);
INSERT INTO "civicrm_mailchimpsync_cache" VALUES(65,'aaaaaaaaaa',NULL,'subscribe-queued@example.org',NULL,NULL,NULL,'{"111":{"status":"Added","date":"2026-11-25T06:16:00Z"}}',NULL,67,'live','added-in-civicrm','subscribe-queued@example.org',NULL,NULL,0,NULL,NULL,0,0,NULL,NULL,NULL,0);
CREATE TABLE civicrm_mailchimpsync_change (
    id INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    run TEXT NOT NULL,
    list_id TEXT NOT NULL,
    cache_id INTEGER,
    contact_id INTEGER,
    email TEXT,
    side TEXT NOT NULL,
    field TEXT NOT NULL,
    before TEXT,
    after TEXT,
    reason TEXT NOT NULL
) STRICT;
INSERT INTO "civicrm_mailchimpsync_change" VALUES(1,'2026-11-22T06:01:00Z','00000006','aaaaaaaaaa',6,65,'new-in-civicrm@example.org','civicrm','contact',NULL,'created','new-contact');
INSERT INTO "civicrm_mailchimpsync_change" VALUES(2,'2026-11-22T06:01:00Z','00000006','aaaaaaaaaa',NULL,65,'new-in-civicrm@example.org','civicrm','subscription',NULL,'Added','new-contact');
INSERT INTO "civicrm_mailchimpsync_change" VALUES(3,'2026-11-22T06:01:00Z','00000006','aaaaaaaaaa',4,20,'other-address-that-leaves@example.org','mailchimp','first_name','Other-Address-That-Leaves','Other-Address','data-changed');
INSERT INTO "civicrm_mailchimpsync_change" VALUES(4,'2026-11-22T06:01:00Z','00000006','aaaaaaaaaa',23,6,'in-sync-with-job@example.org','mailchimp','JOB',NULL,'Quarryman','data-changed');
INSERT INTO "civicrm_mailchimpsync_change" VALUES(5,'2026-11-22T06:01:00Z','00000006','aaaaaaaaaa',63,64,'new-at-mailchimp@example.org','mailchimp','first_name',NULL,'New-At-Mailchimp','added-in-civicrm');
INSERT INTO "civicrm_mailchimpsync_change" VALUES(6,'2026-11-22T06:01:00Z','00000006','aaaaaaaaaa',63,64,'new-at-mailchimp@example.org','mailchimp','last_name',NULL,'Flintstone','added-in-civicrm');
INSERT INTO "civicrm_mailchimpsync_change" VALUES(7,'2026-11-22T06:01:00Z','00000006','aaaaaaaaaa',63,64,'new-at-mailchimp@example.org','mailchimp','subscription',NULL,'subscribed','added-in-civicrm');
INSERT INTO "civicrm_mailchimpsync_change" VALUES(8,'2026-11-22T06:01:00Z','00000006','aaaaaaaaaa',7,5,'in-sync-with-tag@example.org','mailchimp','tag CiviCRM: Donor',NULL,'yes','data-changed');
INSERT INTO "civicrm_mailchimpsync_change" VALUES(9,'2026-11-23T06:04:00Z','00000009','aaaaaaaaaa',NULL,9,'left@example.org','civicrm','subscription','Added','Removed','left-at-mailchimp');
INSERT INTO "civicrm_mailchimpsync_change" VALUES(10,'2026-11-23T06:04:00Z','00000009','aaaaaaaaaa',NULL,10,'left-and-asked@example.org','civicrm','subscription','Added','Removed','left-at-mailchimp');
INSERT INTO "civicrm_mailchimpsync_change" VALUES(11,'2026-11-23T06:04:00Z','00000009','aaaaaaaaaa',NULL,11,'left-and-to-be-asked@example.org','civicrm','subscription','Added','Removed','left-at-mailchimp');
INSERT INTO "civicrm_mailchimpsync_change" VALUES(12,'2026-11-23T06:04:00Z','00000009','aaaaaaaaaa',NULL,12,'vanished@example.org','civicrm','subscription','Added','Removed','vanished-from-mailchimp');
INSERT INTO "civicrm_mailchimpsync_change" VALUES(13,'2026-11-23T06:04:00Z','00000009','aaaaaaaaaa',NULL,13,'archived@example.org','civicrm','subscription','Added','Removed','archived-at-mailchimp');
INSERT INTO "civicrm_mailchimpsync_change" VALUES(14,'2026-11-23T06:04:00Z','00000009','aaaaaaaaaa',NULL,14,'cleaned@example.org','civicrm','subscription','Added','Removed','cleaned-at-mailchimp');
INSERT INTO "civicrm_mailchimpsync_change" VALUES(15,'2026-11-23T06:04:00Z','00000009','aaaaaaaaaa',2,8,'muted@example.org','mailchimp','subscription','subscribed','unsubscribed','opt-out');
INSERT INTO "civicrm_mailchimpsync_change" VALUES(16,'2026-11-23T06:04:00Z','00000009','aaaaaaaaaa',64,62,'signs-up-despite-opt-out@example.org','mailchimp','first_name','','Signs-Up-Despite-Opt-Out','data-changed');
INSERT INTO "civicrm_mailchimpsync_change" VALUES(17,'2026-11-23T06:04:00Z','00000009','aaaaaaaaaa',64,62,'signs-up-despite-opt-out@example.org','mailchimp','last_name','','Flintstone','data-changed');
INSERT INTO "civicrm_mailchimpsync_change" VALUES(18,'2026-11-23T06:04:00Z','00000009','aaaaaaaaaa',17,66,'merged@example.org','mailchimp','first_name','Merged','Merged-Survivor','data-changed');
INSERT INTO "civicrm_mailchimpsync_change" VALUES(19,'2026-11-23T06:04:00Z','00000009','aaaaaaaaaa',8,18,'removed@example.org','mailchimp','subscription','subscribed','unsubscribed','removed-in-civicrm');
INSERT INTO "civicrm_mailchimpsync_change" VALUES(20,'2026-11-24T06:07:00Z','0000000b','aaaaaaaaaa',NULL,19,'trusted@example.org','civicrm','subscription','Removed','Added','trust-mailchimp');
INSERT INTO "civicrm_mailchimpsync_change" VALUES(21,'2026-11-24T06:11:00Z','0000000e','aaaaaaaaaa',9,10,'left-and-asked@example.org','mailchimp','subscription','unsubscribed','pending','compliance-state');
CREATE TABLE civicrm_mailchimpsync_contact (
    contact_id INTEGER PRIMARY KEY,
    first_name TEXT NOT NULL,
    last_name TEXT NOT NULL,
    is_deleted INTEGER NOT NULL,
    is_deceased INTEGER NOT NULL,
    is_opt_out INTEGER NOT NULL,
    do_not_email INTEGER NOT NULL,
    modified_at TEXT NOT NULL,
    first_name_at TEXT NOT NULL,
    last_name_at TEXT NOT NULL,
    gate_closed_at TEXT,
    merged_to INTEGER,
    is_dirty INTEGER NOT NULL DEFAULT 1
) STRICT;
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(4,'In-Sync','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(5,'In-Sync-With-Tag','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(6,'In-Sync-With-Job','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(7,'In-Sync-With-Interest','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(8,'Muted','Flintstone',0,0,1,0,'2026-11-23T06:03:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-23T06:03:00Z',NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(9,'Left','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(10,'Left-And-Asked','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(11,'Left-And-To-Be-Asked','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(12,'Vanished','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(13,'Archived','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(14,'Cleaned','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(15,'Contact-Trashed','Flintstone',1,0,0,0,'2026-11-23T06:03:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(16,'Contact-Purged','Flintstone',1,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(17,'Merged','Flintstone',1,0,0,0,'2026-11-23T06:03:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,66,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(18,'Removed','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(19,'Trusted','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(20,'Other-Address','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(21,'Unsubscribe-Under-Way','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(22,'Unsubscribe-Claimed','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(23,'Moved-At-Mailchimp','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(24,'Leaves-By-Webhook','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(25,'Trustee0','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(26,'Trustee1','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(27,'Trustee2','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(28,'Trustee3','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(29,'Trustee4','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(30,'Trustee5','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(31,'Trustee6','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(32,'Trustee7','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(33,'Trustee8','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(34,'Trustee9','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(35,'Trustee10','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(36,'Trustee11','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(37,'Trustee12','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(38,'Trustee13','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(39,'Trustee14','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(40,'Trustee15','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(41,'Trustee16','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(42,'Trustee17','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(43,'Trustee18','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(44,'Trustee19','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(45,'Trustee20','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(46,'Trustee21','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(47,'Trustee22','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(48,'Trustee23','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(49,'Trustee24','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(50,'Trustee25','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(51,'Trustee26','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(52,'Trustee27','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(53,'Trustee28','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(54,'Trustee29','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(55,'Shared-First','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(56,'Shared-Second','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(57,'Ambiguous-First','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(58,'Ambiguous-Second','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(59,'Without-History','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(60,'Forgotten','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(61,'Refused-For-Ever','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(62,'Signs-Up-Despite-Opt-Out','Flintstone',0,0,1,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(63,'Held-Address','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(64,'New-At-Mailchimp','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(65,'New-In-Civicrm','Flintstone',0,0,0,0,'2026-11-22T06:01:00Z','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(66,'Merged-Survivor','Flintstone',0,0,0,0,'2026-11-23T06:03:00Z','2026-11-23T06:03:00Z','2026-11-23T06:03:00Z',NULL,NULL,0);
INSERT INTO "civicrm_mailchimpsync_contact" VALUES(67,'Subscribe-Queued','Flintstone',0,0,0,0,'2026-11-25T06:16:00Z','2026-11-25T06:16:00Z','2026-11-25T06:16:00Z',NULL,NULL,0);
CREATE TABLE civicrm_mailchimpsync_contact_data (
    kind TEXT NOT NULL,
    contact_id INTEGER NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (kind, contact_id)
) STRICT, WITHOUT ROWID;
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',4,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',5,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',6,'{"job_title":"Quarryman"}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',7,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',8,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',9,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',10,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',11,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',12,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',13,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',14,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',15,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',16,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',17,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',18,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',19,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',20,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',21,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',22,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',23,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',24,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',25,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',26,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',27,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',28,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',29,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',30,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',31,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',32,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',33,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',34,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',35,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',36,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',37,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',38,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',39,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',40,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',41,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',42,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',43,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',44,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',45,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',46,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',47,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',48,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',49,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',50,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',51,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',52,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',53,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',54,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',55,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',56,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',59,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',60,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',61,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',62,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',63,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',64,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',65,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',66,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('fields of fields',67,'{}');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('tags',5,'["Donor"]');
INSERT INTO "civicrm_mailchimpsync_contact_data" VALUES('tags',67,'["Donor"]');
CREATE TABLE civicrm_mailchimpsync_email (
    email_id INTEGER PRIMARY KEY,
    contact_id INTEGER NOT NULL,
    email TEXT NOT NULL,
    email_key TEXT NOT NULL,
    is_primary INTEGER NOT NULL,
    is_bulkmail INTEGER NOT NULL,
    on_hold INTEGER NOT NULL
) STRICT;
INSERT INTO "civicrm_mailchimpsync_email" VALUES(4,4,'in-sync@example.org','in-sync@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(5,5,'in-sync-with-tag@example.org','in-sync-with-tag@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(6,6,'in-sync-with-job@example.org','in-sync-with-job@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(7,7,'in-sync-with-interest@example.org','in-sync-with-interest@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(8,8,'muted@example.org','muted@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(9,9,'left@example.org','left@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(10,10,'left-and-asked@example.org','left-and-asked@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(11,11,'left-and-to-be-asked@example.org','left-and-to-be-asked@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(12,12,'vanished@example.org','vanished@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(13,13,'archived@example.org','archived@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(14,14,'cleaned@example.org','cleaned@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(15,15,'contact-trashed@example.org','contact-trashed@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(16,16,'contact-purged@example.org','contact-purged@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(17,17,'merged@example.org','merged@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(18,18,'removed@example.org','removed@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(19,19,'trusted@example.org','trusted@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(20,20,'other-address@example.org','other-address@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(21,21,'unsubscribe-under-way@example.org','unsubscribe-under-way@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(22,22,'unsubscribe-claimed@example.org','unsubscribe-claimed@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(23,23,'moved-at-mailchimp@example.org','moved-at-mailchimp@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(24,24,'leaves-by-webhook@example.org','leaves-by-webhook@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(25,25,'trustee0@example.org','trustee0@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(26,26,'trustee1@example.org','trustee1@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(27,27,'trustee2@example.org','trustee2@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(28,28,'trustee3@example.org','trustee3@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(29,29,'trustee4@example.org','trustee4@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(30,30,'trustee5@example.org','trustee5@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(31,31,'trustee6@example.org','trustee6@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(32,32,'trustee7@example.org','trustee7@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(33,33,'trustee8@example.org','trustee8@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(34,34,'trustee9@example.org','trustee9@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(35,35,'trustee10@example.org','trustee10@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(36,36,'trustee11@example.org','trustee11@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(37,37,'trustee12@example.org','trustee12@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(38,38,'trustee13@example.org','trustee13@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(39,39,'trustee14@example.org','trustee14@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(40,40,'trustee15@example.org','trustee15@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(41,41,'trustee16@example.org','trustee16@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(42,42,'trustee17@example.org','trustee17@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(43,43,'trustee18@example.org','trustee18@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(44,44,'trustee19@example.org','trustee19@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(45,45,'trustee20@example.org','trustee20@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(46,46,'trustee21@example.org','trustee21@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(47,47,'trustee22@example.org','trustee22@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(48,48,'trustee23@example.org','trustee23@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(49,49,'trustee24@example.org','trustee24@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(50,50,'trustee25@example.org','trustee25@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(51,51,'trustee26@example.org','trustee26@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(52,52,'trustee27@example.org','trustee27@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(53,53,'trustee28@example.org','trustee28@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(54,54,'trustee29@example.org','trustee29@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(55,20,'other-address-that-leaves@example.org','other-address-that-leaves@example.org',0,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(56,55,'shared-address@example.org','shared-address@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(57,56,'shared-address@example.org','shared-address@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(58,57,'ambiguous@example.org','ambiguous@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(59,58,'ambiguous@example.org','ambiguous@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(60,59,'without-history@example.org','without-history@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(61,60,'forgotten@example.org','forgotten@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(62,61,'refused-for-ever@example.org','refused-for-ever@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(63,62,'signs-up-despite-opt-out@example.org','signs-up-despite-opt-out@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(64,63,'held-address@example.org','held-address@example.org',1,0,1);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(65,64,'new-at-mailchimp@example.org','new-at-mailchimp@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(66,65,'new-in-civicrm@example.org','new-in-civicrm@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(67,66,'merged-survivor@example.org','merged-survivor@example.org',1,0,0);
INSERT INTO "civicrm_mailchimpsync_email" VALUES(68,67,'subscribe-queued@example.org','subscribe-queued@example.org',1,0,0);
CREATE TABLE civicrm_mailchimpsync_entity_tag (
    entity_tag_id INTEGER PRIMARY KEY,
    contact_id INTEGER NOT NULL,
    tag_id INTEGER NOT NULL
) STRICT;
INSERT INTO "civicrm_mailchimpsync_entity_tag" VALUES(1,5,6);
INSERT INTO "civicrm_mailchimpsync_entity_tag" VALUES(2,67,6);
CREATE TABLE civicrm_mailchimpsync_group_contact (
    group_id INTEGER NOT NULL,
    contact_id INTEGER NOT NULL,
    status TEXT,
    history_id INTEGER NOT NULL DEFAULT 0,
    says_in INTEGER,
    said_at TEXT,
    said_id INTEGER NOT NULL DEFAULT 0,
    is_dirty INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (group_id, contact_id)
) STRICT, WITHOUT ROWID;
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(111,4,'Added',1,1,'2026-11-22T06:01:00Z',1,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(111,5,'Added',2,1,'2026-11-22T06:01:00Z',2,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(111,6,'Added',3,1,'2026-11-22T06:01:00Z',3,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(111,7,'Added',4,1,'2026-11-22T06:01:00Z',4,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(111,8,'Added',5,1,'2026-11-22T06:01:00Z',5,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(111,9,'Removed',62,1,'2026-11-22T06:01:00Z',6,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(111,10,'Added',70,1,'2026-11-24T06:09:00Z',70,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(111,11,'Added',71,1,'2026-11-25T06:13:00Z',71,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(111,12,'Removed',65,1,'2026-11-22T06:01:00Z',9,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(111,13,'Removed',66,1,'2026-11-22T06:01:00Z',10,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(111,14,'Removed',67,1,'2026-11-22T06:01:00Z',11,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(111,15,'Added',12,1,'2026-11-22T06:01:00Z',12,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(111,16,NULL,13,0,'2026-11-23T06:04:00Z',13,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(111,17,NULL,14,0,'2026-11-23T06:04:00Z',14,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(111,18,'Removed',61,0,'2026-11-23T06:03:00Z',61,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(111,19,'Added',69,1,'2026-11-22T06:01:00Z',68,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(111,20,'Added',17,1,'2026-11-22T06:01:00Z',17,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(111,21,'Removed',72,0,'2026-11-25T06:14:00Z',72,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(111,22,'Removed',73,0,'2026-11-25T06:15:00Z',73,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(111,23,'Added',20,1,'2026-11-22T06:01:00Z',20,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(111,24,'Added',21,1,'2026-11-22T06:01:00Z',21,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(111,55,'Added',53,1,'2026-11-22T06:01:00Z',53,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(111,56,'Added',54,1,'2026-11-22T06:01:00Z',54,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(111,59,'Added',0,1,'0001-01-01T00:00:00Z',0,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(111,60,'Added',55,1,'2026-11-22T06:01:00Z',55,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(111,61,'Added',56,1,'2026-11-22T06:01:00Z',56,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(111,62,'Added',57,1,'2026-11-22T06:01:00Z',57,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(111,63,'Added',58,1,'2026-11-22T06:01:00Z',58,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(111,64,'Added',59,1,'2026-11-22T06:01:00Z',59,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(111,65,'Added',60,NULL,NULL,0,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(111,66,'Added',14,1,'2026-11-22T06:01:00Z',14,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(111,67,'Added',74,1,'2026-11-25T06:16:00Z',74,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(222,7,'Added',52,1,'2026-11-22T06:01:00Z',52,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(333,25,'Removed',75,0,'2026-11-25T06:16:00Z',75,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(333,26,'Removed',76,0,'2026-11-25T06:16:00Z',76,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(333,27,'Removed',77,0,'2026-11-25T06:16:00Z',77,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(333,28,'Removed',78,0,'2026-11-25T06:16:00Z',78,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(333,29,'Removed',79,0,'2026-11-25T06:16:00Z',79,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(333,30,'Removed',80,0,'2026-11-25T06:16:00Z',80,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(333,31,'Removed',81,0,'2026-11-25T06:16:00Z',81,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(333,32,'Removed',82,0,'2026-11-25T06:16:00Z',82,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(333,33,'Removed',83,0,'2026-11-25T06:16:00Z',83,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(333,34,'Removed',84,0,'2026-11-25T06:16:00Z',84,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(333,35,'Removed',85,0,'2026-11-25T06:16:00Z',85,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(333,36,'Removed',86,0,'2026-11-25T06:16:00Z',86,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(333,37,'Added',34,1,'2026-11-22T06:01:00Z',34,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(333,38,'Added',35,1,'2026-11-22T06:01:00Z',35,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(333,39,'Added',36,1,'2026-11-22T06:01:00Z',36,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(333,40,'Added',37,1,'2026-11-22T06:01:00Z',37,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(333,41,'Added',38,1,'2026-11-22T06:01:00Z',38,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(333,42,'Added',39,1,'2026-11-22T06:01:00Z',39,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(333,43,'Added',40,1,'2026-11-22T06:01:00Z',40,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(333,44,'Added',41,1,'2026-11-22T06:01:00Z',41,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(333,45,'Added',42,1,'2026-11-22T06:01:00Z',42,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(333,46,'Added',43,1,'2026-11-22T06:01:00Z',43,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(333,47,'Added',44,1,'2026-11-22T06:01:00Z',44,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(333,48,'Added',45,1,'2026-11-22T06:01:00Z',45,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(333,49,'Added',46,1,'2026-11-22T06:01:00Z',46,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(333,50,'Added',47,1,'2026-11-22T06:01:00Z',47,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(333,51,'Added',48,1,'2026-11-22T06:01:00Z',48,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(333,52,'Added',49,1,'2026-11-22T06:01:00Z',49,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(333,53,'Added',50,1,'2026-11-22T06:01:00Z',50,0);
INSERT INTO "civicrm_mailchimpsync_group_contact" VALUES(333,54,'Added',51,1,'2026-11-22T06:01:00Z',51,0);
CREATE TABLE civicrm_mailchimpsync_place_count (
    group_id INTEGER NOT NULL,
    status TEXT NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (group_id, status)
) STRICT, WITHOUT ROWID;
INSERT INTO "civicrm_mailchimpsync_place_count" VALUES(111,'Added',23);
INSERT INTO "civicrm_mailchimpsync_place_count" VALUES(111,'Removed',7);
INSERT INTO "civicrm_mailchimpsync_place_count" VALUES(222,'Added',1);
INSERT INTO "civicrm_mailchimpsync_place_count" VALUES(333,'Added',18);
INSERT INTO "civicrm_mailchimpsync_place_count" VALUES(333,'Removed',12);
CREATE TABLE civicrm_mailchimpsync_plan (
    id INTEGER PRIMARY KEY,
    list_id TEXT NOT NULL,
    decision TEXT NOT NULL
) STRICT;
INSERT INTO "civicrm_mailchimpsync_plan" VALUES(1,'bbbbbbbbbb','{"verdicts":[{"row_id":30,"sync_status":"live","reason":"removed-in-civicrm"}],"group_writes":[],"changes":[{"row_id":30,"contact_id":null,"change":{"email":"trustee4@example.org","member_id":"ac95987736d2bcba70d1a2f22fdf0806","status":"unsubscribed","new_email":null,"is_archiving":false,"merge_fields":{},"interests":{},"tags":{}},"reason":"removed-in-civicrm","caused_at":{"status":"2026-11-25T06:16:00Z"},"is_gate":false,"tags":{},"metadata":{}}],"new_contact":null,"name_writes":[],"email_writes":[],"words":[]}');
INSERT INTO "civicrm_mailchimpsync_plan" VALUES(2,'bbbbbbbbbb','{"verdicts":[{"row_id":32,"sync_status":"live","reason":"removed-in-civicrm"}],"group_writes":[],"changes":[{"row_id":32,"contact_id":null,"change":{"email":"trustee9@example.org","member_id":"3019a8c7e51e4e24e7d1b0e588abfbb2","status":"unsubscribed","new_email":null,"is_archiving":false,"merge_fields":{},"interests":{},"tags":{}},"reason":"removed-in-civicrm","caused_at":{"status":"2026-11-25T06:16:00Z"},"is_gate":false,"tags":{},"metadata":{}}],"new_contact":null,"name_writes":[],"email_writes":[],"words":[]}');
INSERT INTO "civicrm_mailchimpsync_plan" VALUES(3,'bbbbbbbbbb','{"verdicts":[{"row_id":34,"sync_status":"live","reason":"removed-in-civicrm"}],"group_writes":[],"changes":[{"row_id":34,"contact_id":null,"change":{"email":"trustee1@example.org","member_id":"e7357ec4679a5aaa01cd5791386ff019","status":"unsubscribed","new_email":null,"is_archiving":false,"merge_fields":{},"interests":{},"tags":{}},"reason":"removed-in-civicrm","caused_at":{"status":"2026-11-25T06:16:00Z"},"is_gate":false,"tags":{},"metadata":{}}],"new_contact":null,"name_writes":[],"email_writes":[],"words":[]}');
INSERT INTO "civicrm_mailchimpsync_plan" VALUES(4,'bbbbbbbbbb','{"verdicts":[{"row_id":37,"sync_status":"live","reason":"removed-in-civicrm"}],"group_writes":[],"changes":[{"row_id":37,"contact_id":null,"change":{"email":"trustee6@example.org","member_id":"4e4ddd372281bf9203471313a5dcaf75","status":"unsubscribed","new_email":null,"is_archiving":false,"merge_fields":{},"interests":{},"tags":{}},"reason":"removed-in-civicrm","caused_at":{"status":"2026-11-25T06:16:00Z"},"is_gate":false,"tags":{},"metadata":{}}],"new_contact":null,"name_writes":[],"email_writes":[],"words":[]}');
INSERT INTO "civicrm_mailchimpsync_plan" VALUES(5,'bbbbbbbbbb','{"verdicts":[{"row_id":39,"sync_status":"live","reason":"removed-in-civicrm"}],"group_writes":[],"changes":[{"row_id":39,"contact_id":null,"change":{"email":"trustee11@example.org","member_id":"456884b99791ea4845d636324821190e","status":"unsubscribed","new_email":null,"is_archiving":false,"merge_fields":{},"interests":{},"tags":{}},"reason":"removed-in-civicrm","caused_at":{"status":"2026-11-25T06:16:00Z"},"is_gate":false,"tags":{},"metadata":{}}],"new_contact":null,"name_writes":[],"email_writes":[],"words":[]}');
INSERT INTO "civicrm_mailchimpsync_plan" VALUES(6,'bbbbbbbbbb','{"verdicts":[{"row_id":41,"sync_status":"live","reason":"removed-in-civicrm"}],"group_writes":[],"changes":[{"row_id":41,"contact_id":null,"change":{"email":"trustee3@example.org","member_id":"74b99620125d3c0b1f806f71a0709224","status":"unsubscribed","new_email":null,"is_archiving":false,"merge_fields":{},"interests":{},"tags":{}},"reason":"removed-in-civicrm","caused_at":{"status":"2026-11-25T06:16:00Z"},"is_gate":false,"tags":{},"metadata":{}}],"new_contact":null,"name_writes":[],"email_writes":[],"words":[]}');
INSERT INTO "civicrm_mailchimpsync_plan" VALUES(7,'bbbbbbbbbb','{"verdicts":[{"row_id":44,"sync_status":"live","reason":"removed-in-civicrm"}],"group_writes":[],"changes":[{"row_id":44,"contact_id":null,"change":{"email":"trustee8@example.org","member_id":"5e98b4783f0790047c2c414b9d94475a","status":"unsubscribed","new_email":null,"is_archiving":false,"merge_fields":{},"interests":{},"tags":{}},"reason":"removed-in-civicrm","caused_at":{"status":"2026-11-25T06:16:00Z"},"is_gate":false,"tags":{},"metadata":{}}],"new_contact":null,"name_writes":[],"email_writes":[],"words":[]}');
INSERT INTO "civicrm_mailchimpsync_plan" VALUES(8,'bbbbbbbbbb','{"verdicts":[{"row_id":46,"sync_status":"live","reason":"removed-in-civicrm"}],"group_writes":[],"changes":[{"row_id":46,"contact_id":null,"change":{"email":"trustee0@example.org","member_id":"64927279c360fa32a5a1cf8ab3d4ef47","status":"unsubscribed","new_email":null,"is_archiving":false,"merge_fields":{},"interests":{},"tags":{}},"reason":"removed-in-civicrm","caused_at":{"status":"2026-11-25T06:16:00Z"},"is_gate":false,"tags":{},"metadata":{}}],"new_contact":null,"name_writes":[],"email_writes":[],"words":[]}');
INSERT INTO "civicrm_mailchimpsync_plan" VALUES(9,'bbbbbbbbbb','{"verdicts":[{"row_id":49,"sync_status":"live","reason":"removed-in-civicrm"}],"group_writes":[],"changes":[{"row_id":49,"contact_id":null,"change":{"email":"trustee5@example.org","member_id":"910ebef34f01514492ed24854215c4b0","status":"unsubscribed","new_email":null,"is_archiving":false,"merge_fields":{},"interests":{},"tags":{}},"reason":"removed-in-civicrm","caused_at":{"status":"2026-11-25T06:16:00Z"},"is_gate":false,"tags":{},"metadata":{}}],"new_contact":null,"name_writes":[],"email_writes":[],"words":[]}');
INSERT INTO "civicrm_mailchimpsync_plan" VALUES(10,'bbbbbbbbbb','{"verdicts":[{"row_id":51,"sync_status":"live","reason":"removed-in-civicrm"}],"group_writes":[],"changes":[{"row_id":51,"contact_id":null,"change":{"email":"trustee10@example.org","member_id":"8b54af16c089a15bf69f596585aba5ea","status":"unsubscribed","new_email":null,"is_archiving":false,"merge_fields":{},"interests":{},"tags":{}},"reason":"removed-in-civicrm","caused_at":{"status":"2026-11-25T06:16:00Z"},"is_gate":false,"tags":{},"metadata":{}}],"new_contact":null,"name_writes":[],"email_writes":[],"words":[]}');
INSERT INTO "civicrm_mailchimpsync_plan" VALUES(11,'bbbbbbbbbb','{"verdicts":[{"row_id":53,"sync_status":"live","reason":"removed-in-civicrm"}],"group_writes":[],"changes":[{"row_id":53,"contact_id":null,"change":{"email":"trustee2@example.org","member_id":"6e4977cdfbcbe34195b41eef7d645c93","status":"unsubscribed","new_email":null,"is_archiving":false,"merge_fields":{},"interests":{},"tags":{}},"reason":"removed-in-civicrm","caused_at":{"status":"2026-11-25T06:16:00Z"},"is_gate":false,"tags":{},"metadata":{}}],"new_contact":null,"name_writes":[],"email_writes":[],"words":[]}');
INSERT INTO "civicrm_mailchimpsync_plan" VALUES(12,'bbbbbbbbbb','{"verdicts":[{"row_id":56,"sync_status":"live","reason":"removed-in-civicrm"}],"group_writes":[],"changes":[{"row_id":56,"contact_id":null,"change":{"email":"trustee7@example.org","member_id":"a1c1cb937e48f0193110f782b57d241b","status":"unsubscribed","new_email":null,"is_archiving":false,"merge_fields":{},"interests":{},"tags":{}},"reason":"removed-in-civicrm","caused_at":{"status":"2026-11-25T06:16:00Z"},"is_gate":false,"tags":{},"metadata":{}}],"new_contact":null,"name_writes":[],"email_writes":[],"words":[]}');
CREATE TABLE civicrm_mailchimpsync_reason (
    code TEXT PRIMARY KEY,
    sentence TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "civicrm_mailchimpsync_reason" VALUES('aborted','the update was aborted by hand');
INSERT INTO "civicrm_mailchimpsync_reason" VALUES('added-in-civicrm','added to the group, later than anything said at Mailchimp');
INSERT INTO "civicrm_mailchimpsync_reason" VALUES('address-changed','the address was changed');
INSERT INTO "civicrm_mailchimpsync_reason" VALUES('ambiguous-contact','several contacts own the address and nothing tells them apart');
INSERT INTO "civicrm_mailchimpsync_reason" VALUES('archived-at-mailchimp','archived, later than anything said in CiviCRM');
INSERT INTO "civicrm_mailchimpsync_reason" VALUES('cleaned-address','the address was cleaned at Mailchimp and can never be subscribed again');
INSERT INTO "civicrm_mailchimpsync_reason" VALUES('cleaned-at-mailchimp','the address bounced, and Mailchimp cleaned it');
INSERT INTO "civicrm_mailchimpsync_reason" VALUES('compliance-state','left by themselves before; Mailchimp asks them to confirm first');
INSERT INTO "civicrm_mailchimpsync_reason" VALUES('contact-deleted','the contact was deleted in CiviCRM');
INSERT INTO "civicrm_mailchimpsync_reason" VALUES('data-changed','names or other data were changed');
INSERT INTO "civicrm_mailchimpsync_reason" VALUES('deceased','the contact is deceased');
INSERT INTO "civicrm_mailchimpsync_reason" VALUES('do-not-email','the contact is marked do-not-email in CiviCRM');
INSERT INTO "civicrm_mailchimpsync_reason" VALUES('forgotten-email','permanently deleted at Mailchimp; only a sign-up form brings them back');
INSERT INTO "civicrm_mailchimpsync_reason" VALUES('in-agreement','both sides agree');
INSERT INTO "civicrm_mailchimpsync_reason" VALUES('interest-changed','an interest or its group was changed');
INSERT INTO "civicrm_mailchimpsync_reason" VALUES('left-at-mailchimp','unsubscribed, later than anything said in CiviCRM');
INSERT INTO "civicrm_mailchimpsync_reason" VALUES('may-be-mailed-again','the contact may be mailed again');
INSERT INTO "civicrm_mailchimpsync_reason" VALUES('new-contact','subscribed, and no contact owns the address');
INSERT INTO "civicrm_mailchimpsync_reason" VALUES('no-usable-address','the contact has no address, or all are on hold');
INSERT INTO "civicrm_mailchimpsync_reason" VALUES('opt-out','the contact has opted out of bulk mail in CiviCRM');
INSERT INTO "civicrm_mailchimpsync_reason" VALUES('other-address-subscribed','this address left, but another one of the contact is subscribed');
INSERT INTO "civicrm_mailchimpsync_reason" VALUES('refused-by-civicrm','CiviCRM refused the change');
INSERT INTO "civicrm_mailchimpsync_reason" VALUES('refused-by-mailchimp','Mailchimp refused the change');
INSERT INTO "civicrm_mailchimpsync_reason" VALUES('removed-in-civicrm','removed from the group, later than anything said at Mailchimp');
INSERT INTO "civicrm_mailchimpsync_reason" VALUES('signed-up-despite-opt-out','signed up at Mailchimp although opted out in CiviCRM; left alone');
INSERT INTO "civicrm_mailchimpsync_reason" VALUES('subscribed-at-mailchimp','subscribed, later than anything said in CiviCRM');
INSERT INTO "civicrm_mailchimpsync_reason" VALUES('trust-civicrm','CiviCRM was to be trusted in this run');
INSERT INTO "civicrm_mailchimpsync_reason" VALUES('trust-mailchimp','Mailchimp was to be trusted in this run');
INSERT INTO "civicrm_mailchimpsync_reason" VALUES('unknown-and-not-subscribed','not subscribed at Mailchimp and unknown to CiviCRM');
INSERT INTO "civicrm_mailchimpsync_reason" VALUES('vanished-from-mailchimp','no longer in the audience at Mailchimp');
CREATE TABLE civicrm_mailchimpsync_state (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
INSERT INTO "civicrm_mailchimpsync_state" VALUES('mirror','{"groupIds":[111,222,333],"smartGroupIds":[],"historyId":86,"modifiedAt":"2026-11-25T06:13:00Z","comparedAt":"2026-11-25T06:13:00Z"}');
INSERT INTO "civicrm_mailchimpsync_state" VALUES('tags','{"entityTagId":2,"comparedAt":"2026-11-25T06:13:00Z"}');
INSERT INTO "civicrm_mailchimpsync_state" VALUES('fields of fields','{"fields":["job_title"],"modifiedAt":"2026-11-25T06:11:00Z","comparedAt":"2026-11-25T06:13:00Z"}');
INSERT INTO "civicrm_mailchimpsync_state" VALUES('cache_uid','00000007');
CREATE TABLE civicrm_mailchimpsync_status (
    list_id TEXT PRIMARY KEY,
    data TEXT NOT NULL
) STRICT;
INSERT INTO "civicrm_mailchimpsync_status" VALUES('aaaaaaaaaa','{"since":"2026-11-25T06:16:00Z","isFetched":true,"needsFullFetch":false,"needsFullScan":false,"fetchNo":3,"fetchedAt":"2026-11-25T06:18:00Z","fullFetchedAt":"2026-11-24T06:07:00Z","syncedAt":"2026-11-24T06:12:00Z","dataSyncedAt":"2026-11-25T06:16:00Z","isInSync":true,"cut":null,"interestIds":["cccccccccc"],"spentTrust":{"subscription":"mailchimp"},"heldPlan":{}}');
INSERT INTO "civicrm_mailchimpsync_status" VALUES('bbbbbbbbbb','{"since":"2026-11-25T06:08:00Z","isFetched":true,"needsFullFetch":false,"needsFullScan":false,"fetchNo":3,"fetchedAt":"2026-11-25T06:18:00Z","fullFetchedAt":"2026-11-24T06:07:00Z","syncedAt":"2026-11-24T06:12:00Z","dataSyncedAt":"2026-11-25T06:15:00Z","isInSync":true,"cut":null,"interestIds":[],"spentTrust":{},"heldPlan":{"why":"would unsubscribe 12 (30 subscribed members; allowed: 10%)","since":"2026-11-25T06:16:00Z"}}');
CREATE TABLE civicrm_mailchimpsync_tag (
    tag_id INTEGER PRIMARY KEY,
    label TEXT NOT NULL
) STRICT;
INSERT INTO "civicrm_mailchimpsync_tag" VALUES(1,'Non-profit');
INSERT INTO "civicrm_mailchimpsync_tag" VALUES(2,'Company');
INSERT INTO "civicrm_mailchimpsync_tag" VALUES(3,'Government Entity');
INSERT INTO "civicrm_mailchimpsync_tag" VALUES(4,'Major Donor');
INSERT INTO "civicrm_mailchimpsync_tag" VALUES(5,'Volunteer');
INSERT INTO "civicrm_mailchimpsync_tag" VALUES(6,'Donor');
CREATE TABLE civicrm_mailchimpsync_update (
    id INTEGER PRIMARY KEY,
    mailchimpsync_cache_id INTEGER NOT NULL,
    mailchimpsync_batch_id INTEGER,
    data TEXT NOT NULL,
    completed INTEGER NOT NULL DEFAULT 0,
    error_response TEXT,
    cause TEXT NOT NULL,
    created_at TEXT NOT NULL,
    completed_at TEXT
) STRICT;
INSERT INTO "civicrm_mailchimpsync_update" VALUES(1,4,1,'{"email":"other-address-that-leaves@example.org","member_id":"ae680fb1acb04932c6138316f9e4175a","status":null,"new_email":null,"is_archiving":false,"merge_fields":{"FNAME":"Other-Address"},"interests":{},"tags":{}}',1,NULL,'{"reason":"data-changed","at":{"first_name":"2026-11-22T06:01:00Z","last_name":"2026-11-22T06:01:00Z"}}','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z');
INSERT INTO "civicrm_mailchimpsync_update" VALUES(2,7,1,'{"email":"in-sync-with-tag@example.org","member_id":"b98368e7d44a202dbc9e13bf819931bf","status":null,"new_email":null,"is_archiving":false,"merge_fields":{},"interests":{},"tags":{"CiviCRM: Donor":true}}',1,NULL,'{"reason":"data-changed","metadata":{"tags":{"seen":["Donor"]}}}','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z');
INSERT INTO "civicrm_mailchimpsync_update" VALUES(3,23,1,'{"email":"in-sync-with-job@example.org","member_id":"6ec60543488553077058593a72a6e7d3","status":null,"new_email":null,"is_archiving":false,"merge_fields":{"JOB":"Quarryman"},"interests":{},"tags":{}}',1,NULL,'{"reason":"data-changed","metadata":{"fields":{"seen":{"job_title":"Quarryman"},"as":"[[\"JOB\", \"job_title\", \"text\"]]","sent":{"JOB":"Quarryman"}}}}','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z');
INSERT INTO "civicrm_mailchimpsync_update" VALUES(4,59,1,'{"email":"forgotten@example.org","member_id":null,"status":"subscribed","new_email":null,"is_archiving":false,"merge_fields":{"FNAME":"Forgotten","LNAME":"Flintstone"},"interests":{},"tags":{}}',1,'Forgotten Email Not Subscribed. forgotten@example.org was permanently deleted and cannot be re-imported. The contact must re-subscribe to get back on the list','{"reason":"added-in-civicrm","at":{"status":"2026-11-22T06:01:00Z","first_name":"2026-11-22T06:01:00Z","last_name":"2026-11-22T06:01:00Z"}}','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z');
INSERT INTO "civicrm_mailchimpsync_update" VALUES(5,60,1,'{"email":"refused-for-ever@example.org","member_id":null,"status":"subscribed","new_email":null,"is_archiving":false,"merge_fields":{"FNAME":"Refused-For-Ever","LNAME":"Flintstone"},"interests":{},"tags":{}}',1,'Invalid Resource. refused-for-ever@example.org looks fake or invalid, please enter a real email address','{"reason":"added-in-civicrm","at":{"status":"2026-11-22T06:01:00Z","first_name":"2026-11-22T06:01:00Z","last_name":"2026-11-22T06:01:00Z"}}','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z');
INSERT INTO "civicrm_mailchimpsync_update" VALUES(6,63,1,'{"email":"new-at-mailchimp@example.org","member_id":null,"status":"subscribed","new_email":null,"is_archiving":false,"merge_fields":{"FNAME":"New-At-Mailchimp","LNAME":"Flintstone"},"interests":{},"tags":{}}',1,NULL,'{"reason":"added-in-civicrm","at":{"status":"2026-11-22T06:01:00Z","first_name":"2026-11-22T06:01:00Z","last_name":"2026-11-22T06:01:00Z"}}','2026-11-22T06:01:00Z','2026-11-22T06:01:00Z');
INSERT INTO "civicrm_mailchimpsync_update" VALUES(7,2,2,'{"email":"muted@example.org","member_id":"e64701ebbef066ce4e34e59e5c715959","status":"unsubscribed","new_email":null,"is_archiving":false,"merge_fields":{},"interests":{},"tags":{}}',1,NULL,'{"reason":"opt-out","at":{"status":"2026-11-22T06:01:00Z"},"is_gate":true}','2026-11-23T06:04:00Z','2026-11-23T06:04:00Z');
INSERT INTO "civicrm_mailchimpsync_update" VALUES(8,8,2,'{"email":"removed@example.org","member_id":"c5c724425e95c62048552f0483532ec0","status":"unsubscribed","new_email":null,"is_archiving":false,"merge_fields":{},"interests":{},"tags":{}}',1,NULL,'{"reason":"removed-in-civicrm","at":{"status":"2026-11-23T06:03:00Z"}}','2026-11-23T06:04:00Z','2026-11-23T06:04:00Z');
INSERT INTO "civicrm_mailchimpsync_update" VALUES(9,17,2,'{"email":"merged@example.org","member_id":"6d7e2020473be65195231bf629b1d01c","status":null,"new_email":null,"is_archiving":false,"merge_fields":{"FNAME":"Merged-Survivor"},"interests":{},"tags":{}}',1,NULL,'{"reason":"data-changed","at":{"first_name":"2026-11-23T06:03:00Z","last_name":"2026-11-23T06:03:00Z"}}','2026-11-23T06:04:00Z','2026-11-23T06:04:00Z');
INSERT INTO "civicrm_mailchimpsync_update" VALUES(10,64,2,'{"email":"signs-up-despite-opt-out@example.org","member_id":"b66b37677ee526cb54d31ecec05b5d15","status":null,"new_email":null,"is_archiving":false,"merge_fields":{"FNAME":"Signs-Up-Despite-Opt-Out","LNAME":"Flintstone"},"interests":{},"tags":{}}',1,NULL,'{"reason":"data-changed","at":{"first_name":"2026-11-22T06:01:00Z","last_name":"2026-11-22T06:01:00Z"}}','2026-11-23T06:04:00Z','2026-11-23T06:04:00Z');
INSERT INTO "civicrm_mailchimpsync_update" VALUES(11,9,3,'{"email":"left-and-asked@example.org","member_id":"b0292a2fead535e4b15478d5e0a3b77b","status":"subscribed","new_email":null,"is_archiving":false,"merge_fields":{},"interests":{},"tags":{}}',1,'Member In Compliance State. left-and-asked@example.org is in a compliance state due to unsubscribe, bounce, or compliance review and cannot be subscribed','{"reason":"added-in-civicrm","at":{"status":"2026-11-24T06:09:00Z"}}','2026-11-24T06:10:00Z','2026-11-24T06:10:00Z');
INSERT INTO "civicrm_mailchimpsync_update" VALUES(12,9,4,'{"email":"left-and-asked@example.org","member_id":"b0292a2fead535e4b15478d5e0a3b77b","status":"pending","new_email":null,"is_archiving":false,"merge_fields":{},"interests":{},"tags":{}}',1,NULL,'{"reason":"compliance-state","at":{"status":"2026-11-24T06:09:00Z"}}','2026-11-24T06:10:00Z','2026-11-24T06:11:00Z');
INSERT INTO "civicrm_mailchimpsync_update" VALUES(13,25,5,'{"email":"left-and-to-be-asked@example.org","member_id":"071b6fc625eed17320766605d0dacacd","status":"subscribed","new_email":null,"is_archiving":false,"merge_fields":{},"interests":{},"tags":{}}',1,'Member In Compliance State. left-and-to-be-asked@example.org is in a compliance state due to unsubscribe, bounce, or compliance review and cannot be subscribed','{"reason":"added-in-civicrm","at":{"status":"2026-11-25T06:13:00Z"}}','2026-11-25T06:13:00Z','2026-11-25T06:16:00Z');
INSERT INTO "civicrm_mailchimpsync_update" VALUES(14,3,6,'{"email":"unsubscribe-under-way@example.org","member_id":"49cef41e6b394dd4128e65dc0708a38b","status":"unsubscribed","new_email":null,"is_archiving":false,"merge_fields":{},"interests":{},"tags":{}}',0,NULL,'{"reason":"removed-in-civicrm","at":{"status":"2026-11-25T06:14:00Z"}}','2026-11-25T06:14:00Z',NULL);
INSERT INTO "civicrm_mailchimpsync_update" VALUES(15,19,7,'{"email":"unsubscribe-claimed@example.org","member_id":"a5b4aac28480ed22d669fe259873e18d","status":"unsubscribed","new_email":null,"is_archiving":false,"merge_fields":{},"interests":{},"tags":{}}',0,NULL,'{"reason":"removed-in-civicrm","at":{"status":"2026-11-25T06:15:00Z"}}','2026-11-25T06:15:00Z',NULL);
INSERT INTO "civicrm_mailchimpsync_update" VALUES(16,25,NULL,'{"email":"left-and-to-be-asked@example.org","member_id":"071b6fc625eed17320766605d0dacacd","status":"pending","new_email":null,"is_archiving":false,"merge_fields":{},"interests":{},"tags":{}}',0,NULL,'{"reason":"compliance-state","at":{"status":"2026-11-25T06:13:00Z"}}','2026-11-25T06:16:00Z',NULL);
INSERT INTO "civicrm_mailchimpsync_update" VALUES(17,65,NULL,'{"email":"subscribe-queued@example.org","member_id":null,"status":"subscribed","new_email":null,"is_archiving":false,"merge_fields":{"FNAME":"Subscribe-Queued","LNAME":"Flintstone"},"interests":{},"tags":{}}',0,NULL,'{"reason":"added-in-civicrm","at":{"status":"2026-11-25T06:16:00Z","first_name":"2026-11-25T06:16:00Z","last_name":"2026-11-25T06:16:00Z"}}','2026-11-25T06:16:00Z',NULL);
INSERT INTO "civicrm_mailchimpsync_update" VALUES(18,65,NULL,'{"email":"subscribe-queued@example.org","member_id":null,"status":null,"new_email":null,"is_archiving":false,"merge_fields":{},"interests":{},"tags":{"CiviCRM: Donor":true}}',0,NULL,'{"reason":"added-in-civicrm","at":{"status":"2026-11-25T06:16:00Z","first_name":"2026-11-25T06:16:00Z","last_name":"2026-11-25T06:16:00Z"},"metadata":{"tags":{"seen":["Donor"]}}}','2026-11-25T06:16:00Z',NULL);
CREATE TABLE civicrm_mailchimpsync_webhook (
    id INTEGER PRIMARY KEY,
    received_at TEXT NOT NULL,
    kind TEXT NOT NULL,
    list_id TEXT NOT NULL,
    email TEXT NOT NULL,
    old_email TEXT NOT NULL,
    reason TEXT NOT NULL,
    batch_id TEXT NOT NULL,
    fired_at TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO "civicrm_mailchimpsync_webhook" VALUES(1,'2026-11-25T06:18:00Z','unsubscribe','aaaaaaaaaa','leaves-by-webhook@example.org','','','','',0);
INSERT INTO "civicrm_mailchimpsync_webhook" VALUES(2,'2026-11-25T06:18:00Z','profile','aaaaaaaaaa','in-sync@example.org','','','','',0);
CREATE UNIQUE INDEX "idx__sqlite_migrations_migration_set_name"
    ON "_sqlite_migrations" ("migration_set", "name");
CREATE INDEX cache_contact ON civicrm_mailchimpsync_cache (civicrm_contact_id, mailchimp_list_id);
CREATE INDEX cache_todo ON civicrm_mailchimpsync_cache (mailchimp_list_id, id)
    WHERE sync_status = 'todo';
CREATE INDEX cache_data_due ON civicrm_mailchimpsync_cache (mailchimp_list_id)
    WHERE is_data_due = 1;
CREATE INDEX cache_retried ON civicrm_mailchimpsync_cache (mailchimp_list_id)
    WHERE sync_reason IN ('aborted', 'refused-by-civicrm');
CREATE INDEX cache_unique_contact ON civicrm_mailchimpsync_cache (unique_contact)
    WHERE unique_contact IS NOT NULL;
CREATE INDEX batch_open ON civicrm_mailchimpsync_batch (response_processed)
    WHERE response_processed < 2;
CREATE INDEX update_cache ON civicrm_mailchimpsync_update (mailchimpsync_cache_id, completed);
CREATE INDEX update_open ON civicrm_mailchimpsync_update (mailchimpsync_batch_id, id)
    WHERE completed = 0;
CREATE INDEX contact_dirty ON civicrm_mailchimpsync_contact (contact_id) WHERE is_dirty = 1;
CREATE INDEX contact_deleted ON civicrm_mailchimpsync_contact (contact_id) WHERE is_deleted = 1;
CREATE INDEX email_contact ON civicrm_mailchimpsync_email (contact_id);
CREATE INDEX email_key ON civicrm_mailchimpsync_email (email_key, contact_id);
CREATE INDEX group_contact_contact ON civicrm_mailchimpsync_group_contact (contact_id);
CREATE INDEX group_contact_dirty ON civicrm_mailchimpsync_group_contact (group_id, contact_id)
    WHERE is_dirty = 1;
CREATE INDEX plan_list ON civicrm_mailchimpsync_plan (list_id, id);
CREATE INDEX change_at ON civicrm_mailchimpsync_change (at);
CREATE INDEX change_cache ON civicrm_mailchimpsync_change (cache_id);
CREATE VIEW people AS
SELECT r.id AS row_id, r.mailchimp_list_id AS list_id,
    coalesce(r.mailchimp_email, (SELECT e.email FROM civicrm_mailchimpsync_email e
        WHERE e.contact_id = r.civicrm_contact_id
        ORDER BY e.on_hold, e.is_bulkmail DESC, e.is_primary DESC, e.email_id LIMIT 1)) AS email,
    r.civicrm_contact_id AS contact_id, c.first_name, c.last_name, r.mailchimp_status,
    (SELECT group_concat(g.group_id || ' ' || coalesce(g.status, 'Deleted'), ', ')
        FROM civicrm_mailchimpsync_group_contact g
        WHERE g.contact_id = r.civicrm_contact_id) AS civicrm_groups,
    r.sync_status, r.sync_reason AS reason, s.sentence
FROM civicrm_mailchimpsync_cache r
LEFT JOIN civicrm_mailchimpsync_contact c ON c.contact_id = r.civicrm_contact_id
LEFT JOIN civicrm_mailchimpsync_reason s ON s.code = r.sync_reason;
CREATE VIEW failed_people AS
SELECT * FROM people WHERE sync_status = 'fail';
CREATE VIEW audiences AS
SELECT s.list_id, json_extract(s.data, '$.syncedAt') AS synced_at,
    json_extract(s.data, '$.fetchedAt') AS fetched_at,
    json_extract(s.data, '$.heldPlan.why') AS held_because,
    json_extract(s.data, '$.heldPlan.since') AS held_since,
    count(r.id) AS people,
    count(r.id) FILTER (WHERE r.mailchimp_status = 'subscribed') AS subscribed,
    count(r.id) FILTER (WHERE r.mailchimp_status = 'pending') AS pending,
    count(r.id) FILTER (WHERE r.sync_status = 'todo') AS todo,
    count(r.id) FILTER (WHERE r.sync_status IN ('live', 'redo')) AS under_way,
    count(r.id) FILTER (WHERE r.sync_status = 'fail') AS failed
FROM civicrm_mailchimpsync_status s
LEFT JOIN civicrm_mailchimpsync_cache r ON r.mailchimp_list_id = s.list_id
GROUP BY s.list_id;
CREATE VIEW waiting_batches AS
SELECT b.id, b.mailchimp_list_id AS list_id, b.mailchimp_batch_id AS batch_id, b.status,
    b.submitted_at, b.total_operations, b.finished_operations, b.errored_operations
FROM civicrm_mailchimpsync_batch b WHERE b.response_processed < 2 ORDER BY b.id;
CREATE VIEW queued_updates AS
SELECT u.id, r.mailchimp_list_id AS list_id, r.id AS row_id, r.civicrm_contact_id AS contact_id,
    json_extract(u.data, '$.email') AS email, json_extract(u.data, '$.status') AS new_status,
    u.data, u.created_at, json_extract(u.cause, '$.reason') AS reason, s.sentence
FROM civicrm_mailchimpsync_update u
JOIN civicrm_mailchimpsync_cache r ON r.id = u.mailchimpsync_cache_id
LEFT JOIN civicrm_mailchimpsync_reason s ON s.code = json_extract(u.cause, '$.reason')
WHERE u.completed = 0 AND u.mailchimpsync_batch_id IS NULL ORDER BY u.id;
CREATE VIEW refused_updates AS
SELECT u.id, r.mailchimp_list_id AS list_id, r.id AS row_id, r.civicrm_contact_id AS contact_id,
    json_extract(u.data, '$.email') AS email, json_extract(u.data, '$.status') AS new_status,
    u.error_response, u.completed_at
FROM civicrm_mailchimpsync_update u
LEFT JOIN civicrm_mailchimpsync_cache r ON r.id = u.mailchimpsync_cache_id
WHERE u.completed = 1 AND u.error_response IS NOT NULL AND u.mailchimpsync_batch_id IS NOT NULL
ORDER BY u.completed_at DESC, u.id DESC;
CREATE VIEW recent_changes AS
SELECT c.at, c.run, c.list_id, c.email, c.contact_id, c.cache_id AS row_id, c.side, c.field,
    c.before, c.after, c.reason, s.sentence
FROM civicrm_mailchimpsync_change c
LEFT JOIN civicrm_mailchimpsync_reason s ON s.code = c.reason
ORDER BY c.id DESC;
CREATE INDEX entity_tag_contact ON civicrm_mailchimpsync_entity_tag (contact_id, tag_id);
CREATE INDEX entity_tag_tag ON civicrm_mailchimpsync_entity_tag (tag_id, contact_id);
CREATE INDEX webhook_order ON civicrm_mailchimpsync_webhook (attempts, id);
CREATE INDEX webhook_received ON civicrm_mailchimpsync_webhook (received_at);
CREATE UNIQUE INDEX cache_email ON civicrm_mailchimpsync_cache (email_key, mailchimp_list_id);
CREATE INDEX cache_under_way ON civicrm_mailchimpsync_cache (mailchimp_list_id)
    WHERE sync_status IN ('live', 'redo');
CREATE TRIGGER place_added AFTER INSERT ON civicrm_mailchimpsync_group_contact WHEN NEW.status IS NOT NULL BEGIN INSERT INTO civicrm_mailchimpsync_place_count SELECT NEW.group_id, NEW.status, 0 WHERE NEW.status IS NOT NULL AND NOT EXISTS (SELECT 1 FROM civicrm_mailchimpsync_place_count WHERE group_id = NEW.group_id AND status = NEW.status); UPDATE civicrm_mailchimpsync_place_count SET n = n + 1 WHERE group_id = NEW.group_id AND status = NEW.status; END;
CREATE TRIGGER place_removed AFTER DELETE ON civicrm_mailchimpsync_group_contact WHEN OLD.status IS NOT NULL BEGIN UPDATE civicrm_mailchimpsync_place_count SET n = n - 1 WHERE group_id = OLD.group_id AND status = OLD.status; END;
CREATE TRIGGER place_changed AFTER UPDATE OF group_id, status ON civicrm_mailchimpsync_group_contact WHEN NEW.status IS NOT OLD.status OR NEW.group_id IS NOT OLD.group_id BEGIN UPDATE civicrm_mailchimpsync_place_count SET n = n - 1 WHERE group_id = OLD.group_id AND status = OLD.status; INSERT INTO civicrm_mailchimpsync_place_count SELECT NEW.group_id, NEW.status, 0 WHERE NEW.status IS NOT NULL AND NOT EXISTS (SELECT 1 FROM civicrm_mailchimpsync_place_count WHERE group_id = NEW.group_id AND status = NEW.status); UPDATE civicrm_mailchimpsync_place_count SET n = n + 1 WHERE group_id = NEW.group_id AND status = NEW.status; END;
COMMIT;
