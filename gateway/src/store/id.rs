//! The names of things that only the gateway knows: enrollments and keys.

use oriel_proto::uuid_id;

uuid_id! {
    /// One enrollment: what a one-time code stands for.
    EnrollmentId, now_v7
}
uuid_id! {
    /// One API key, as it is named in lists and logs.
    KeyId, now_v7
}
