//! A client whose worker is what a model makes of it.

use super::*;
use crate::worker::Start;

impl ClientInner {
    pub(crate) fn modelled(settings: Settings) -> (Arc<Self>, Start) {
        let mut client = Self::idle(settings);
        let (worker, start) = Worker::new(&client.settings);
        let inner = Arc::get_mut(&mut client).expect("nobody else has it");
        inner.worker = worker;
        inner.open = AtomicBool::new(true);
        // One of them stays: models run side by side, and none may see the end of another's.
        OPEN_CLIENTS.fetch_add(2, Ordering::Relaxed);
        (client, start)
    }

    pub(crate) fn closed(&self) -> bool {
        self.close()
    }
}
