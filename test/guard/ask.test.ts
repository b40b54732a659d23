import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, describe, test } from 'node:test';
import { askGranters } from '../../activities/guard/ask.ts';
import type { LeaseAnswer } from '../../activities/guard/protocol.ts';

const granted: LeaseAnswer = { kind: 'granted', epoch: 1, ttlMs: 1000 };
const moved: LeaseAnswer = { kind: 'refused', epoch: 2, holder: 'beijing', why: 'other-holder' };
const behind: LeaseAnswer = { kind: 'refused', epoch: 0, holder: null, why: 'other-holder' };

describe('asking the granters', { concurrency: true }, () => {
  const servers: Server[] = [];
  after(() => {
    for (const server of servers) server.close().closeAllConnections();
  });

  /** A granter that always says the same; `silent` never answers. */
  const granter = async (site: string, says: LeaseAnswer | 'silent') => {
    const asked: string[] = [];
    const server = createServer((request, response) => {
      asked.push(request.url ?? '');
      if (says === 'silent') return;
      response.writeHead(says.kind === 'granted' ? 200 : 409, { 'content-type': 'application/json' });
      response.end(JSON.stringify(says));
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return { site, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, token: 'x', asked };
  };

  const cases: {
    name: string;
    control: LeaseAnswer | 'silent';
    beijing: LeaseAnswer | 'silent';
    all: boolean;
    want: [kind: string, by: string | null];
    asks: [control: number, beijing: number];
  }[] = [
    {
      name: 'control grants: nobody else is asked',
      control: granted,
      beijing: moved,
      all: false,
      want: ['granted', 'control'],
      asks: [1, 0],
    },
    {
      name: 'control refuses: nobody else is asked',
      control: moved,
      beijing: granted,
      all: false,
      want: ['over', 'control'],
      asks: [1, 0],
    },
    {
      name: 'control is silent: the other site is asked',
      control: 'silent',
      beijing: granted,
      all: false,
      want: ['granted', 'beijing'],
      asks: [1, 1],
    },
    {
      name: 'control knows nobody: the other site is asked',
      control: behind,
      beijing: granted,
      all: false,
      want: ['granted', 'beijing'],
      asks: [1, 1],
    },
    { name: 'nobody answers', control: 'silent', beijing: 'silent', all: false, want: ['none', null], asks: [1, 1] },
    {
      name: 'all are heard: control that was away grants, the other site knows better',
      control: granted,
      beijing: moved,
      all: true,
      want: ['over', 'beijing'],
      asks: [1, 1],
    },
    {
      name: 'all are heard: the other site is silent',
      control: granted,
      beijing: 'silent',
      all: true,
      want: ['granted', 'control'],
      asks: [1, 1],
    },
    {
      name: 'all are heard: nobody answers',
      control: 'silent',
      beijing: 'silent',
      all: true,
      want: ['none', null],
      asks: [1, 1],
    },
  ];
  for (const { name, control, beijing, all, want, asks } of cases) {
    test(name, async () => {
      const addresses = [await granter('control', control), await granter('beijing', beijing)];
      const request = { service: 'shop', site: 'hangzhou', epoch: 1 };
      const limitMs = [control, beijing].includes('silent') ? 1_500 : 10_000;
      const { word, by } = await askGranters({ addresses, limitMs }, request, all);
      assert.deepEqual([word.kind, by], want);
      assert.deepEqual(
        addresses.map(({ asked }) => asked.length),
        asks,
      );
      if (word.kind === 'none') assert.match(word.why, /agent of control: .*; agent of beijing: /);
    });
  }
});
