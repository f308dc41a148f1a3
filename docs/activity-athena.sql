-- The table that ACTIVITY_SOURCE=athena asks: the files of an organisation's trail, by account, Region and day.
-- Put in DATABASE, TABLE, TRAIL-BUCKET, ORGANISATION-ID (o-…; leave that level out for a trail of one account) and the
-- day of the trail's first file. Its partitions are projected: nothing has to be added for a new account, Region or day.
-- Columns that the portal doesn't ask for are left out.
CREATE EXTERNAL TABLE DATABASE.TABLE (
  eventtime STRING,
  eventid STRING,
  eventsource STRING,
  eventname STRING,
  eventcategory STRING,
  awsregion STRING,
  recipientaccountid STRING,
  errorcode STRING,
  useridentity STRUCT<
    type: STRING,
    principalid: STRING,
    onbehalfof: STRUCT<userid: STRING, identitystorearn: STRING>,
    sessioncontext: STRUCT<
      attributes: STRUCT<creationdate: STRING>,
      sessionissuer: STRUCT<type: STRING, principalid: STRING, arn: STRING, accountid: STRING, username: STRING>
    >
  >,
  serviceeventdetails STRING
)
PARTITIONED BY (account STRING, region STRING, `timestamp` STRING)
ROW FORMAT SERDE 'org.apache.hive.hcatalog.data.JsonSerDe'
STORED AS INPUTFORMAT 'com.amazon.emr.cloudtrail.CloudTrailInputFormat'
OUTPUTFORMAT 'org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat'
LOCATION 's3://TRAIL-BUCKET/AWSLogs/ORGANISATION-ID/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.account.type' = 'injected',
  'projection.region.type' = 'injected',
  'projection.timestamp.type' = 'date',
  'projection.timestamp.format' = 'yyyy/MM/dd',
  'projection.timestamp.interval' = '1',
  'projection.timestamp.interval.unit' = 'DAYS',
  'projection.timestamp.range' = '2026/01/01,NOW',
  'storage.location.template' = 's3://TRAIL-BUCKET/AWSLogs/ORGANISATION-ID/${account}/CloudTrail/${region}/${timestamp}'
);
