//! Identities: one spelling each, and nothing hostile gets through.

use proptest::prelude::*;

use super::*;

const CLUSTER: &str = "00112233445566778899aabbccddeeff";

fn subject() -> impl Strategy<Value = Subject> {
    let name = "[A-Za-z0-9._-]{1,40}".prop_filter("a dot is no name", |n| n != "." && n != "..");
    prop_oneof![
        name.clone().prop_map(|name| Subject::Controller { name }),
        name.prop_map(|name| Subject::Node { name }),
        (any::<u32>(), "\\PC{1,40}").prop_map(|(uid, name)| Subject::User { uid, name }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn an_identity_survives_its_text(cluster in any::<[u8; 16]>(), subject in subject()) {
        let identity = Identity::checked(ClusterId(cluster), subject).expect("a good name");
        let text = identity.to_string();
        prop_assert!(text.is_ascii());
        prop_assert_eq!(text.parse(), Ok(identity));
    }

    #[test]
    fn what_parses_prints_back_the_same(
        tail in "(user/[0-9]{1,4}|node|controller)/[a-zA-Z0-9%/.~ ]{0,12}",
    ) {
        let text = format!("rafter://{CLUSTER}/{tail}");
        if let Ok(identity) = text.parse::<Identity>() {
            prop_assert_eq!(identity.to_string(), text);
        }
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,80}") {
        let _ = text.parse::<Identity>();
        let _ = percent_decode(&text);
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(from_certificate(&bytes).is_err());
    }
}

#[test]
fn hostile_texts_are_refused() {
    let tails = [
        "",
        "controller",
        "controller/",
        "controller/.",
        "controller/..",
        "controller/a/b",
        "controller/a b",
        "controller/a%2Fb",
        "controller/a\n",
        "controller/a\0",
        "Controller/a",
        "node/",
        "node/é",
        "node/a?role=controller",
        "node/a#b",
        "user/0",
        "user//root",
        "user/0/",
        "user/-1/a",
        "user/+0/root",
        "user/00/root",
        "user/ 0/root",
        "user/4294967296/a",
        "user/0/a/b",
        "user/0/%61",
        "user/0/a%2fb",
        "user/0/%",
        "user/0/%4",
        "user/0/%00",
        "user/0/%FF",
        "user/0/%0A",
        "user/0/%\u{e9}",
        "user/0/a b",
        "authority",
        "admin/root",
        "/controller/a",
    ];
    for tail in tails {
        let text = format!("rafter://{CLUSTER}/{tail}");
        assert!(text.parse::<Identity>().is_err(), "{text:?} was accepted");
    }
    let wholes = [
        String::new(),
        format!("Rafter://{CLUSTER}/node/a"),
        format!("rafter:/{CLUSTER}/node/a"),
        format!(" rafter://{CLUSTER}/node/a"),
        format!("spiffe://{CLUSTER}/node/a"),
        format!("rafter://{}/node/a", CLUSTER.to_uppercase()),
        format!("rafter://{CLUSTER}0/node/a"),
        format!("rafter://{CLUSTER}@evil/node/a"),
        "rafter:///node/a".to_owned(),
    ];
    for text in wholes {
        assert!(text.parse::<Identity>().is_err(), "{text:?} was accepted");
    }
}

#[test]
fn names_have_a_length() {
    assert!(check_name(&"a".repeat(MAX_NAME)).is_ok());
    assert!(check_name(&"a".repeat(MAX_NAME + 1)).is_err());
    let user = |length| Subject::User { uid: 1, name: "u".repeat(length) };
    let checked = |subject| Identity::checked(ClusterId([1; 16]), subject);
    assert!(checked(user(MAX_USER)).is_ok());
    assert!(checked(user(MAX_USER + 1)).is_err());
    assert!(checked(user(0)).is_err());
}

#[test]
fn a_directory_s_user_name_is_encoded() {
    let identity = Identity {
        cluster: ClusterId([0xab; 16]),
        subject: Subject::User { uid: 1000, name: "CORP\\jane doe".into() },
    };
    assert!(identity.to_string().ends_with("/user/1000/CORP%5Cjane%20doe"));
}
