import type { Route } from '../activities/guard/http.ts';
import type { Metrics } from './metrics.ts';

/** `GET /metrics` for Prometheus; no token, as scrapers expect, and nothing secret in it. */
export function metricsRoute(metrics: Metrics): Route {
  return {
    method: 'GET',
    path: '/metrics',
    withoutToken: true,
    handle: async () => ({
      status: 200,
      content: await metrics.registry.metrics(),
      contentType: metrics.registry.contentType,
    }),
  };
}
