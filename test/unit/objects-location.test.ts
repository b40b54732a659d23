import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { createKeyring, type Env, providerOf } from '../../activities/objects/credentials.ts';
import { isLocation, parseLocation } from '../../activities/objects/location.ts';
import { type ObjectPlace } from '../../activities/objects/place.ts';
import { parseIni } from '../../activities/objects/profile.ts';

const home = mkdtempSync(path.join(os.tmpdir(), 'muster-location-'));
after(() => rmSync(home, { recursive: true, force: true }));

const aws = { AWS_ACCESS_KEY_ID: 'AK', AWS_SECRET_ACCESS_KEY: 'the-secret', HOME: path.join(home, 'nobody') };
const alibaba = { ALIBABA_CLOUD_ACCESS_KEY_ID: 'AK', ALIBABA_CLOUD_ACCESS_KEY_SECRET: 'the-secret' };
const fromAws = {
  ...{ kind: 'environment', accessKeyId: 'AWS_ACCESS_KEY_ID', secretAccessKey: 'AWS_SECRET_ACCESS_KEY' },
  sessionToken: 'AWS_SESSION_TOKEN',
};

interface Row {
  text: string;
  env?: Env;
  want: Partial<ObjectPlace>;
}

const rows: Row[] = [
  {
    text: 's3://photos',
    want: {
      ...{ dialect: 's3', bucket: 'photos', prefix: '', region: 'us-east-1', addressing: 'virtual-host' },
      endpoint: 'https://s3.us-east-1.amazonaws.com',
      credentials: fromAws as ObjectPlace['credentials'],
    },
  },
  { text: 's3://photos/', want: { prefix: '' } },
  { text: 's3://photos/a/b', want: { prefix: 'a/b/' } },
  { text: 's3://photos/a b/100%/+ü', want: { prefix: 'a b/100%/+ü/' } },
  { text: 's3://photos//a/', want: { prefix: '/a/' } },
  { text: 's3://photos/x?prefix=what%3F%20%2B1', want: { prefix: 'what? +1/' } },
  { text: 'S3://photos', want: { dialect: 's3' } },
  { text: 's3://photos.example.com', want: { addressing: 'path' } },
  { text: 's3://photos?region=cn-north-1', want: { endpoint: 'https://s3.cn-north-1.amazonaws.com.cn' } },
  { text: 's3://photos', env: { AWS_DEFAULT_REGION: 'eu-west-1' }, want: { region: 'eu-west-1' } },
  {
    text: 's3://photos',
    env: { AWS_DEFAULT_REGION: 'eu-west-1', AWS_REGION: 'eu-west-2' },
    want: { region: 'eu-west-2', endpoint: 'https://s3.eu-west-2.amazonaws.com' },
  },
  {
    text: 's3://photos?endpoint=http://127.0.0.1:9000',
    want: { endpoint: 'http://127.0.0.1:9000', addressing: 'path', region: 'us-east-1' },
  },
  {
    text: 's3://photos',
    env: { AWS_ENDPOINT_URL: 'https://general/', AWS_ENDPOINT_URL_S3: 'https://own/', AWS_CA_BUNDLE: '/ca.pem' },
    want: { endpoint: 'https://own', caFile: '/ca.pem' },
  },
  {
    text: 's3://photos?endpoint=https://a.example&pathStyle=false&caFile=/b.pem&signPayload=true&connections=8',
    env: { AWS_CA_BUNDLE: '/ca.pem' },
    want: { addressing: 'virtual-host', caFile: '/b.pem', signPayload: true, limits: { connections: 8 } },
  },
  {
    text: 's3://photos?credentials=SRC',
    env: { SRC_ACCESS_KEY_ID: 'a', SRC_SECRET_ACCESS_KEY: 'b', SRC_REGION: 'r1', AWS_ENDPOINT_URL: 'https://other' },
    want: {
      ...{ region: 'r1', endpoint: 'https://s3.r1.amazonaws.com' },
      credentials: {
        ...{ kind: 'environment', accessKeyId: 'SRC_ACCESS_KEY_ID', secretAccessKey: 'SRC_SECRET_ACCESS_KEY' },
        sessionToken: 'SRC_SESSION_TOKEN',
      },
    },
  },
  {
    text: 'oss://photos/a',
    env: { OSS_REGION: 'oss-cn-hangzhou' },
    want: {
      ...{ dialect: 'oss', prefix: 'a/', region: 'cn-hangzhou', addressing: 'virtual-host' },
      endpoint: 'https://oss-cn-hangzhou.aliyuncs.com',
    },
  },
  {
    text: 'oss://photos',
    env: { OSS_ENDPOINT: 'oss-cn-beijing-internal.aliyuncs.com' },
    want: { region: 'cn-beijing', endpoint: 'https://oss-cn-beijing-internal.aliyuncs.com' },
  },
  {
    text: 'oss://photos?endpoint=http://127.0.0.1:9000&region=cn-shanghai',
    want: { region: 'cn-shanghai', endpoint: 'http://127.0.0.1:9000', addressing: 'path' },
  },
  {
    text: 'oss://photos?credentials=DST&region=cn-shanghai',
    env: { DST_ACCESS_KEY_ID: 'a', DST_ACCESS_KEY_SECRET: 'b' },
    want: {
      credentials: {
        ...{ kind: 'environment', accessKeyId: 'DST_ACCESS_KEY_ID', secretAccessKey: 'DST_ACCESS_KEY_SECRET' },
        sessionToken: 'DST_SECURITY_TOKEN',
      },
    },
  },
];
for (const { text, env, want } of rows) {
  test(`${text} with ${JSON.stringify(env ?? {})}`, () => {
    const place = parseLocation(text, { ...aws, ...alibaba, ...env });
    for (const [name, value] of Object.entries(want)) assert.deepEqual(place[name as keyof ObjectPlace], value, name);
    assert.ok(!JSON.stringify(place).includes('the-secret'));
    assert.deepEqual(structuredClone(place), place);
  });
}

const bad: { text: string; env?: Env; code?: string; says: RegExp }[] = [
  { text: '/a/directory', says: /must read s3:\/\/bucket/ },
  { text: 'http://photos', says: /must read s3:\/\/bucket/ },
  { text: 's3://', says: /no bucket name/ },
  { text: 's3://a', says: /bucket "a"/ },
  { text: 's3://under score', says: /bucket "under score"/ },
  { text: 's3://AK:the-secret@photos', says: /keys and ports do not belong into the address/ },
  { text: 's3://photos:9000', says: /\?endpoint=/ },
  { text: 's3://photos?endpiont=x', says: /option "endpiont" is not known: there are endpoint/ },
  { text: 's3://photos?region=a&region=b', says: /region is given twice/ },
  { text: 's3://photos?region=a%20b', says: /region "a b"/ },
  { text: 's3://photos?pathStyle=yes', says: /pathStyle=yes must be true or false/ },
  { text: 's3://photos?connections=0', says: /connections=0 must be a whole number/ },
  { text: 's3://photos?endpoint=storage', says: /endpoint is no address: write e\.g\. endpoint=https/ },
  { text: 's3://photos?endpoint=ftp://storage', says: /endpoint is no address/ },
  { text: 's3://photos?endpoint=http://AK:the-secret@storage', says: /keys do not belong into the endpoint/ },
  { text: 's3://photos?endpoint=http://storage/path', says: /must end behind host and port/ },
  { text: 's3://photos?profile=a&credentials=B', says: /exclude each other/ },
  { text: 's3://photos?profile=absent', says: /profile=absent: neither .* names it/ },
  { text: 's3://photos?credentials=1-2', says: /credentials=1-2/ },
  { text: 's3://photos?credentials=SRC', code: 'SECRET_MISSING', says: /env:SRC_ACCESS_KEY_ID/ },
  {
    text: 's3://photos',
    env: { AWS_SECRET_ACCESS_KEY: '' },
    code: 'SECRET_MISSING',
    says: /env:AWS_SECRET_ACCESS_KEY/,
  },
  { text: 'oss://photos', says: /no region: add \?region=cn-hangzhou/ },
  { text: 'oss://photos?profile=a&region=cn-hangzhou', says: /profile is of S3/ },
  {
    text: 'oss://photos?region=cn-hangzhou',
    env: { ALIBABA_CLOUD_ACCESS_KEY_SECRET: undefined },
    code: 'SECRET_MISSING',
    says: /env:ALIBABA_CLOUD_ACCESS_KEY_SECRET/,
  },
];
for (const { text, env, code, says } of bad) {
  test(`${text} is refused by name`, () => {
    assert.throws(
      () => parseLocation(text, { ...aws, ...alibaba, ...env }),
      (error: Error & { code?: string }) => {
        assert.equal(error.code, code ?? 'CONFIG_INVALID', error.message);
        assert.match(error.message, says);
        assert.ok(!error.message.includes('the-secret'));
        return true;
      },
    );
  });
}

test('an address of a bucket is told from the name of a directory', () => {
  assert.deepEqual(['s3://b', 'oss://b', 'S3://b', '/s3', 's3:b', 'file'].map(isLocation), [
    true,
    true,
    true,
    false,
    false,
    false,
  ]);
});

/** A home with the files of the `aws` command. */
function homeWith(name: string, files: { credentials?: string; config?: string }): { dir: string; folder: string } {
  const dir = path.join(home, name);
  const folder = path.join(dir, '.aws');
  mkdirSync(folder, { recursive: true });
  for (const [file, text] of Object.entries(files)) writeFileSync(path.join(folder, file), text);
  return { dir, folder };
}

test('a profile gives keys, region, endpoint, authorities and the style of addresses', async () => {
  const { dir, folder } = homeWith('profiles', {
    credentials:
      '[default]\naws_access_key_id=D\naws_secret_access_key = d ; comment\n[backup]\naws_access_key_id = B\naws_secret_access_key = b/+=\naws_session_token=t\n',
    config:
      '[default]\nregion=eu-west-1\n[profile backup]\nregion = eu-central-1\nendpoint_url = https://store.example\nca_bundle=/ca.pem\ns3 =\n  addressing_style = virtual\n',
  });
  const place = parseLocation('s3://photos?profile=backup', { ...aws, HOME: dir });
  assert.deepEqual(place, {
    ...{ dialect: 's3', bucket: 'photos', prefix: '', region: 'eu-central-1', endpoint: 'https://store.example' },
    ...{ addressing: 'virtual-host', caFile: '/ca.pem' },
    credentials: {
      ...{ kind: 'profile', profile: 'backup' },
      ...{ credentialsFile: path.join(folder, 'credentials'), configFile: path.join(folder, 'config') },
    },
  });
  assert.deepEqual(await providerOf(place.credentials, {})({ refused: false }), {
    ...{ accessKeyId: 'B', secretAccessKey: 'b/+=', sessionToken: 't' },
  });
  // Keys in the environment count more than the default profile, less than one that was named.
  assert.equal(parseLocation('s3://photos', { ...aws, HOME: dir }).credentials.kind, 'environment');
  const bare = parseLocation('s3://photos', { HOME: dir });
  assert.deepEqual([bare.credentials.kind, bare.region], ['profile', 'eu-west-1']);
  assert.equal(parseLocation('s3://photos', { HOME: dir, AWS_PROFILE: 'backup' }).region, 'eu-central-1');
});

test('keys that a service hands out are said not to be read', async () => {
  const { dir } = homeWith('sso', { config: '[profile work]\nsso_session = corp\nregion = eu-west-1\n' });
  const { credentials } = parseLocation('s3://photos?profile=work', { HOME: dir });
  assert.throws(() => providerOf(credentials, {})({ refused: false }), {
    ...{
      code: 'SECRET_MISSING',
      message: /profile work .* gets its keys by sso_session, which is not read here: export them/,
    },
  });
});

test('a profile is read anew when its file changes, and when its keys were refused', async () => {
  const written = (secret: string): string => `[default]\naws_access_key_id=A\naws_secret_access_key=${secret}\n`;
  const { dir, folder } = homeWith('rotating', { credentials: written('one') });
  const { credentials } = parseLocation('s3://photos', { HOME: dir });
  let nowMs = 1_000_000;
  const keyring = createKeyring(providerOf(credentials, {}), () => nowMs);
  const first = await keyring.current();
  assert.equal(first.secretAccessKey, 'one');
  writeFileSync(path.join(folder, 'credentials'), written('two'));
  utimesSync(path.join(folder, 'credentials'), 1, 1);
  assert.equal((await keyring.current()).secretAccessKey, 'one');
  assert.equal(await keyring.refused(first), true);
  const second = await keyring.current();
  assert.equal(second.secretAccessKey, 'two');
  assert.equal(await keyring.refused(second), false);
  writeFileSync(path.join(folder, 'credentials'), written('three'));
  nowMs += 6_000;
  assert.equal((await keyring.current()).secretAccessKey, 'three');
});

test('keys that end are asked for in time, once for all calls that wait', async () => {
  let nowMs = 0;
  let asked = 0;
  const provider = () => {
    asked += 1;
    return Promise.resolve({ accessKeyId: `A${asked}`, secretAccessKey: 's', expiresAtMs: nowMs + 301_500 });
  };
  const keyring = createKeyring(provider, () => nowMs);
  await Promise.all([keyring.current(), keyring.current()]);
  assert.equal(asked, 1);
  nowMs = 1_000;
  assert.equal((await keyring.current()).accessKeyId, 'A1');
  nowMs = 1_600;
  assert.equal((await keyring.current()).accessKeyId, 'A2');
});

test('an environment that lost its keys is named, not its values', () => {
  const provider = providerOf({ ...fromAws, kind: 'environment' }, { AWS_ACCESS_KEY_ID: 'AK' });
  assert.throws(() => provider({ refused: false }), { code: 'SECRET_MISSING', message: /^env:AWS_SECRET_ACCESS_KEY/ });
});

test('files of the aws command: comments, nesting, odd spacing', () => {
  const sections = parseIni(
    '; c\n# c\nstray = 1\n[ a ]\r\nX=1\r\n y = 2\nempty =\n  in = 3 # c\n  in2=4\nz = a#b\n[b]\n[a]\nX=5\n',
  );
  assert.deepEqual([...sections.keys()], ['a', 'b']);
  assert.deepEqual(Object.fromEntries(sections.get('a')!), {
    ...{ x: '5', y: '2', empty: '', 'empty.in': '3', 'empty.in2': '4', z: 'a#b' },
  });
});
