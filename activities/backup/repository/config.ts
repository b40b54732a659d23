/** The file `config` of a repository. */
export interface RepositoryConfig {
  readonly version: 2;
  /** 64 hexadecimal digits, random. */
  readonly id: string;
  /** Irreducible polynomial of degree 53 over GF(2), in hexadecimal: where restic's chunker cuts files. */
  readonly chunker_polynomial: string;
}
