//! Callbacks of a layer that are those of the layer inside.

/// Writes the callbacks of `tracing_subscriber::Layer` that a wrapper leaves to its field
/// `inner`, those that are named; and those that no wrapper of ours cares about.
macro_rules! forward_to_inner {
    ($($callback:ident),*) => {
        $(forward_to_inner!(@ $callback);)*

        fn on_layer(&mut self, subscriber: &mut S) {
            self.inner.on_layer(subscriber);
        }

        fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
            self.inner.register_callsite(metadata)
        }

        fn enabled(&self, metadata: &Metadata<'_>, ctx: Context<'_, S>) -> bool {
            self.inner.enabled(metadata, ctx)
        }

        fn max_level_hint(&self) -> Option<LevelFilter> {
            self.inner.max_level_hint()
        }

        fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
            self.inner.on_record(id, values, ctx);
        }

        fn on_follows_from(&self, id: &Id, follows: &Id, ctx: Context<'_, S>) {
            self.inner.on_follows_from(id, follows, ctx);
        }

        fn event_enabled(&self, event: &Event<'_>, ctx: Context<'_, S>) -> bool {
            self.inner.event_enabled(event, ctx)
        }

        fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
            self.inner.on_event(event, ctx);
        }

        fn on_close(&self, id: Id, ctx: Context<'_, S>) {
            self.inner.on_close(id, ctx);
        }

        fn on_id_change(&self, old: &Id, new: &Id, ctx: Context<'_, S>) {
            self.inner.on_id_change(old, new, ctx);
        }

        #[allow(
            unsafe_code,
            reason = "the trait's only access to the layer inside, for what asks for it by type"
        )]
        unsafe fn downcast_raw(&self, id: TypeId) -> Option<*const ()> {
            if id == TypeId::of::<Self>() {
                return Some(std::ptr::from_ref(self).cast());
            }
            // SAFETY: what the inner layer points to lives in it, and it lives in `self`.
            unsafe { self.inner.downcast_raw(id) }
        }
    };
    (@ on_new_span) => {
        fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
            self.inner.on_new_span(attrs, id, ctx);
        }
    };
    (@ on_enter) => {
        fn on_enter(&self, id: &Id, ctx: Context<'_, S>) {
            self.inner.on_enter(id, ctx);
        }
    };
    (@ on_exit) => {
        fn on_exit(&self, id: &Id, ctx: Context<'_, S>) {
            self.inner.on_exit(id, ctx);
        }
    };
}

pub(super) use forward_to_inner;
