import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { Answer, Order, RunAccount, RunView } from './io.ts';

/** Each answers with the run as it is after the order. Validators refuse synchronously and leave no history event. */
export const answerUpdate = defineUpdate<RunView, [Answer]>('approve');
export const pauseUpdate = defineUpdate<RunView, [Order]>('pause');
export const resumeUpdate = defineUpdate<RunView, [Order]>('resume');
export const skipUpdate = defineUpdate<RunView, [Order]>('skip');
export const retryUpdate = defineUpdate<RunView, [Order]>('retry');
export const abortUpdate = defineUpdate<RunView, [Order]>('abort');
export const goUngracefulUpdate = defineUpdate<RunView, [Order]>('goUngraceful');
/** To a drill: a real run needs the service; nothing further is begun. */
export const giveWaySignal = defineSignal('giveWay');
export const statusQuery = defineQuery<RunView>('status');
/** Whole, for whoever has to write down the end of a run that was ended from outside. Also asked of closed workflows. */
export const accountQuery = defineQuery<RunAccount>('account');
