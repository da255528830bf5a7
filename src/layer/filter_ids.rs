//! Which subscribers give per-layer filters their ids.

use std::any::type_name;

use tracing_subscriber::Registry;
use tracing_subscriber::layer::Layered;

/// Whether a subscriber is a registry under layers.
///
/// Others may panic when they are asked for a filter's id, as `fmt::Subscriber` does,
/// and no trait says which do. Types of other crates cannot be taken apart, but for
/// their names. A name that is misread costs the filter, and no measurement: the layer
/// works without it.
pub(super) fn gives_filter_ids<S>() -> bool {
    let registry = type_name::<Registry>();
    let layered = type_name::<Layered<(), Registry>>();
    let layered = layered.split_once('<').map_or(layered, |(path, _)| path);
    let mut subscriber = type_name::<S>();
    while subscriber != registry {
        let arguments = subscriber.strip_prefix(layered);
        let inner = arguments.and_then(|it| second(it.strip_prefix('<')?.strip_suffix('>')?));
        let Some(inner) = inner else { return false };
        subscriber = inner;
    }
    true
}

/// The second of a type's arguments.
fn second(arguments: &str) -> Option<&str> {
    let mut depth = 0_usize;
    let mut before = ' ';
    let mut commas = arguments.char_indices().filter_map(|(at, here)| {
        let is_arrow = before == '-' && here == '>';
        before = here;
        match here {
            '<' | '(' | '[' | '{' => depth += 1,
            '>' if is_arrow => {}
            '>' | ')' | ']' | '}' => depth = depth.checked_sub(1)?,
            ',' if depth == 0 => return Some(at),
            _ => {}
        }
        None
    });
    let start = commas.next()? + 1;
    let end = commas.next().unwrap_or(arguments.len());
    Some(arguments[start..end].trim())
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::Layer;
    use tracing_subscriber::filter::LevelFilter;
    use tracing_subscriber::layer::{Identity, SubscriberExt};

    use super::*;

    fn of<S>(_: &S) -> bool {
        gives_filter_ids::<S>()
    }

    #[test]
    fn a_registry_under_any_layers_gives_ids() {
        let registry = || Registry::default().with(Identity::new());
        assert!(gives_filter_ids::<Registry>());
        assert!(of(&registry()));
        assert!(of(&registry().with(LevelFilter::INFO)));
        let writer: fn() -> std::io::Sink = std::io::sink;
        let lines = || tracing_subscriber::fmt::layer().with_writer(writer);
        let filtered = tracing_subscriber::fmt::layer().with_writer(writer);
        let filtered = filtered.with_filter(LevelFilter::INFO);
        assert!(of(&registry().with(lines()).with(Some(Identity::new()))));
        assert!(of(&registry().with(filtered)));
        assert!(of(
            &registry().with(vec![lines().and_then(Identity::new()).boxed()])
        ));
    }

    #[test]
    fn what_is_between_gives_none() {
        struct Of<S>(std::marker::PhantomData<S>);
        assert!(!gives_filter_ids::<Of<Registry>>());
        assert!(!gives_filter_ids::<Layered<Identity, Of<Registry>>>());
        let fmt = tracing_subscriber::fmt().finish();
        assert!(!of(&fmt));
        assert!(!of(&fmt.with(Identity::new()).with(LevelFilter::INFO)));
    }
}
