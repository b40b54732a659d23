/** The sample shop of one site as a program; `shop/` holds what it is made of. */
import { announceReady, endpointSetting, setting } from './program.ts';
import { startShop } from './shop/start.ts';

const shop = await startShop({
  site: setting('MUSTER_SITE'),
  listen: endpointSetting('MUSTER_LISTEN'),
  databaseUrl: setting('MUSTER_SHOP_DATABASE_URL'),
});
announceReady({ url: shop.url }, () => shop.close());
