"""A form that no browser sends is a mistake of its sender's, not ours."""


def test_a_part_without_a_name_is_a_bad_request(browser_of, ours):
    body = b"--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x--\r\n"
    answer = browser_of(ours.clerk).client.post(
        "/admin/campaign/new/", data=body, content_type="multipart/form-data; boundary=x"
    )
    assert answer.status_code == 400
