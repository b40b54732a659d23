import { createPrivateKey } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import {
  certificateFiles,
  createClusterCa,
  issueNodeCertificate,
  writeClusterCa,
  writeNodeFiles,
} from '../../storage-node/rpc/certs.ts';
import { nodeIdOf, parseHostPort, whyNoAddress } from '../../storage-node/topology/address.ts';
import { parseCertificate, readPem, whole } from './values.ts';

const longestDays = 36_500;

/** `muster storage-node certs init` */
export async function initAuthority(flags: { dir: string; clusterId: string; days: string }): Promise<void> {
  if (existsSync(path.join(flags.dir, 'ca.key')))
    throw new Error(`${flags.dir} has an authority already; it is left as it is`);
  mkdirSync(flags.dir, { recursive: true });
  writeClusterCa(
    flags.dir,
    createClusterCa({ clusterId: flags.clusterId, days: whole('--days', flags.days, longestDays) }),
  );
}

interface IssueFlags {
  caDir: string;
  node: string;
  out: string;
  clusterId: string;
  days: string;
}

/** `muster storage-node certs issue` */
export async function issueCertificate(flags: IssueFlags): Promise<void> {
  const at = parseHostPort(flags.node);
  if (at === undefined)
    throw new Error(`--node must be HOST:PORT as in the names of the drives${whyNoAddress(flags.node)}`);
  const ca = {
    certificate: readPem('--ca-dir', path.join(flags.caDir, certificateFiles.authority), parseCertificate),
    key: readPem('--ca-dir', path.join(flags.caDir, certificateFiles.authorityKey), createPrivateKey),
  };
  const days = whole('--days', flags.days, longestDays);
  const named = { clusterId: flags.clusterId, nodeId: nodeIdOf(at), hosts: [at.host] };
  const node = issueNodeCertificate({ ca, ...named, days });
  mkdirSync(flags.out, { recursive: true });
  writeNodeFiles(flags.out, node, [ca.certificate]);
}
