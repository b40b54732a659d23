/** Every workflow type there is, by the name an operator sees. */
export { drill } from './drill.ts';
export { failback } from './failback.ts';
export { failover } from './failover.ts';
export { recordLater } from './recorder.ts';
export { reprotect } from './reprotect.ts';
export { selfCheck } from './self-check.ts';
